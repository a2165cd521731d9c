"""A trained model's numbers as arrays: its embedding table, and a student's other weights for the native scorer."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from service.bundle import EmbeddingTable, Weights
from service.bundle.weights import Numbers
from training.layers.propagation import InnerPropagation, OuterPropagation
from training.models.base import CTRModel
from training.models.dagfm import DAGFM

NATIVE = (InnerPropagation, OuterPropagation)
"""The propagation layers that the native scorer knows."""


def table_of(model: CTRModel) -> EmbeddingTable:
    """The embedding table of a model, on the model's own memory."""
    return EmbeddingTable(rows_VD=_numbers(model.embedding.weight_VD))


def weights_of(model: CTRModel) -> Weights | None:
    """All but the embeddings of a DAGFM, inner or outer, whose connection is not dense; None of other models."""
    if not isinstance(model, DAGFM) or model.propagation not in NATIVE or model.connect == "dense":
        return None
    layers = [layer for layer in model.layers if isinstance(layer, InnerPropagation | OuterPropagation)]
    outer = [layer for layer in layers if isinstance(layer, OuterPropagation)]
    return Weights(
        connection_FF=_numbers(model.connection()),
        p_LFFD=np.stack([_numbers(layer.p_FSD * layer.mask_FF[..., None]) for layer in layers]),
        q_LFFD=np.stack([_numbers(layer.q_FSD * layer.mask_FF[..., None]) for layer in outer]) if outer else None,
        readout_TF=_numbers(model.readout.weight.view(len(model.layers) + 1, model.fields)),
        bias_1=_numbers(model.readout.bias),
    )


def _numbers(weights: Tensor) -> Numbers:
    numbers: Numbers = weights.detach().numpy()
    return numbers
