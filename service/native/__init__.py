"""The C extension behind NativeScorer: DAGFM-inner and DAGFM-outer, context once, any CPU.

    dagfm_core.h     what is computed and how it is laid out; no Python
    dagfm_context.h  the arithmetic of the context, once per request
    dagfm_kernel.h   the arithmetic of candidates, compiled once per instruction set and chosen when a model is built
    dagfm_build.h    packing of weights
    dagfm.c          the module `_dagfm`: buffers checked, interpreter lock released
    fuzz.c           random models and requests against the definition, for sanitizers

The build is optional: without a compiler there is no `_dagfm`, and onnxruntime answers.
"""
