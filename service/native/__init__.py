"""The C extensions, both optional: without a compiler onnxruntime answers and the loops run in Python.

`_dagfm`, behind NativeScorer: DAGFM-inner and DAGFM-outer, context once, any CPU.

    dagfm_core.h     what is computed and how it is laid out; no Python
    dagfm_rows.h     rows of the embedding table: found, asked for ahead, converted, transposed
    dagfm_level.h    everything of one instruction set, compiled once for each and chosen when a model is built
    dagfm_context.h  the arithmetic of the context, once per request
    dagfm_kernel.h   the arithmetic of a block of candidates, one or two registers wide
    dagfm_build.h    packing of weights
    dagfm.c          the module: interpreter lock released while scoring
    fuzz.c           random models and requests against the definition, for sanitizers

`_encode`, behind service.loops: values to ids, ids checked and counted, logits to probabilities.

    table.h          text → number, look-ups of a whole column side by side; no Python
    encode_batch.h   Python values to texts to numbers
    encode_table.h   the type Table and a context's row
    encode.c         the module and the loops over ids and logits
    fuzz_table.c     random tables against a search, for sanitizers

Both take arrays through arrays.h, which checks element types, shapes and alignment before anything is read.
"""
