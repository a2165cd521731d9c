"""Golden requests of a bundle: contexts the model was validated on, items of the catalogue, the model's own logits.

Where there is no catalogue, candidates are those of validation rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from export.parity import model_logits
from service.bundle import PADDING_ID, UNKNOWN_ID, Golden, GoldenRequest, Ids
from training.data.prepare import Prepared
from training.metrics import sigmoid
from training.models.base import CTRModel

SIZES = (1, 2, 7, 50, 257)
"""Candidates of each golden request."""


def golden_requests(model: CTRModel, prepared: Prepared) -> Golden:
    """One request per size, and one in which every value is unknown or missing."""
    context_fields = len(prepared.encoder.schema.context)
    validation, catalogue = prepared.rows("validation"), prepared.catalogue
    candidates = validation.ids_NF[:, context_fields:] if catalogue is None else catalogue.candidate_ids_IF
    generator = np.random.default_rng(0)
    requests = []
    for size in SIZES:
        context_ids = np.array(validation.ids_NF[generator.integers(len(validation))][None, :context_fields])
        items = generator.integers(len(candidates), size=size)
        requests.append(_request(model, context_ids, np.array(candidates[items])))
    requests.append(_unknown_request(model, context_fields))
    return Golden(tuple(requests))


def _unknown_request(model: CTRModel, context_fields: int) -> GoldenRequest:
    context_ids = np.full((1, context_fields), UNKNOWN_ID, np.int32)
    candidate_fields = model.fields - context_fields
    candidate_ids = np.array([[UNKNOWN_ID] * candidate_fields, [PADDING_ID] * candidate_fields], np.int32)
    return _request(model, context_ids, candidate_ids)


def _request(model: CTRModel, context_ids: Ids, candidate_ids: Ids) -> GoldenRequest:
    return GoldenRequest(context_ids, candidate_ids, model_logits(model, context_ids, candidate_ids))


def example_request(model: CTRModel, prepared: Prepared) -> dict[str, Any]:
    """The prepared raw example, with the probabilities the trained model gives it."""
    schema, encoder = prepared.encoder.schema, prepared.encoder
    context_ids = encoder.encode_context(prepared.example["context"])
    candidate_ids = encoder.encode(schema.candidate, prepared.example["candidates"])
    probabilities_N = sigmoid(model_logits(model, context_ids, candidate_ids))
    return {**prepared.example, "probabilities": [round(float(p), 7) for p in probabilities_N]}
