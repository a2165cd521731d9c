"""What the scorer that answers multiplies, which is not what the graph does when the native one answers.

    E_c = Σ_{f < Fc} (F − f)      edges from the Fc context fields to all F, computed once per request
    E = Fx (Fx + 1) / 2           edges among the Fx candidate fields, computed per candidate

    once            D·E_c for the connection,        Fc to read h^1 out,   per layer k·D·E_c + D·Fc (⊙ h^1) + Fc
    per candidate   D·E if the connection mixes,     D·Fx to read h^1 out, per layer k·D·E + D·Fx (⊙ h^1) + r

with k = 1, r = D·Fx for inner and k = 2, r = Fx for outer, which reads out what it has summed over D. A table of int8
takes D more for each field. Counted from service/native/dagfm_context.h and dagfm_kernel.h; what fills registers up to
their width is left out, a multiply-add counts once, as everywhere here.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from service.bundle import Bundle, Flops, Weights
from service.scoring.choice import Choice


def executed_flops(bundle: Bundle, choice: Choice) -> Flops:
    """The bundle's own counts, or those of the native scorer at the same N where it answers."""
    stated = bundle.manifest.flops
    if bundle.weights is None or choice.result != "chosen":
        return stated
    context_fields = len(bundle.schema.context)
    once, each = native_multiplications(bundle.weights, context_fields)
    if bundle.embedding is not None and bundle.embedding.scale_V1 is not None:
        once += bundle.embedding.dimension * context_fields
        each += bundle.embedding.dimension * (len(bundle.encoder.sizes) - context_fields)
    return dataclasses.replace(stated, once=once, executed=each + once / stated.candidates)


def native_multiplications(weights: Weights, context_fields: int) -> tuple[int, int]:
    """Multiplications of the native scorer: once per request, and for each of its candidates."""
    layers, fields, _, dimension = weights.p_LFFD.shape
    candidate_fields = fields - context_fields
    outer = weights.q_LFFD is not None
    per_edge = 2 * dimension if outer else dimension
    context_edges = context_fields * fields - context_fields * (context_fields - 1) // 2
    edges = candidate_fields * (candidate_fields + 1) // 2
    once_a_layer = per_edge * context_edges + dimension * context_fields + context_fields
    readout = candidate_fields if outer else dimension * candidate_fields
    each_a_layer = per_edge * edges + dimension * candidate_fields + readout
    once = dimension * context_edges + context_fields + layers * once_a_layer
    connection = dimension * edges if _mixes(weights, context_fields) else 0
    each = connection + dimension * candidate_fields + layers * each_a_layer
    return once, each


def _mixes(weights: Weights, context_fields: int) -> bool:
    """Whether the connection changes a candidate field; an identity costs nothing there."""
    rows_XF = weights.connection_FF[context_fields:]
    return not np.array_equal(rows_XF, np.eye(len(weights.connection_FF), dtype=np.float32)[context_fields:])
