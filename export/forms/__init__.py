"""Serving forms: equivalent ways to compute one trained model for one context and N candidates.

    forward(context_ids [1, Fc], candidate_ids [N, Ff]) → logits [N]

Every model has the full-row form: the context is repeated for each candidate. Models whose equations allow it also
have forms that compute the context's part once. Weights are folded here (masks, kernels, the readout), so that a graph
holds only what a request needs. All forms are exact; the exporter checks each, times all and keeps the fastest.
"""

from export.forms.full_rows import FullRows
from export.forms.registry import serving_forms

__all__ = ["FullRows", "serving_forms"]
