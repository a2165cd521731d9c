"""Records with every field filled in; tests name the fields they are about."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import orjson

from service.events.records import Answered, Exposure, FeedbackEvent, ShadowComparison

NOW_MS = 1_760_000_000_000
ATTRIBUTION_MS = 24 * 3_600_000


def exposure(request_id: str = "r", unit: str = "u", **given: Any) -> Exposure:
    fields: dict[str, Any] = {
        "exposure_id": hashlib.md5(request_id.encode(), usedforsecurity=False).digest(),
        "request_id": request_id,
        "ts_ms": NOW_MS,
        "experiment": "e",
        "phase": 1,
        "revision": 1,
        "unit_hash": unit_hash(unit),
        "arm": "student",
        "propensity": 0.5,
        "reason": "assigned",
        "n_candidates": 3,
    }
    return Exposure(**{**fields, **given})


def unit_hash(unit: str) -> bytes:
    return hashlib.sha256(unit.encode()).digest()[:16]


def answered(
    request_id: str = "r", probabilities: list[float] | None = None, items: list[Any] | None = None, **given: Any
) -> Answered:
    fields: dict[str, Any] = {
        "request_id": request_id,
        "ts_ms": NOW_MS + 1,
        "model": "tiny@v1",
        "fallback": False,
        "status": 200,
        "latency_us": 812.5,
        "probabilities": b"" if probabilities is None else np.array(probabilities, "<f4").tobytes(),
        "items": b"" if items is None else orjson.dumps(items),
    }
    return Answered(**{**fields, **given})


def feedback(request_id: str = "r", candidate: str = "#0", kind: str = "impression", **given: Any) -> FeedbackEvent:
    fields = {"ts_client_ms": None, "ts_server_ms": NOW_MS + 1000, "value": None}
    return FeedbackEvent(request_id=request_id, candidate=candidate, type=kind, **{**fields, **given})


def shadow(request_id: str = "r", **given: Any) -> ShadowComparison:
    fields: dict[str, Any] = {
        "request_id": request_id,
        "ts_ms": NOW_MS,
        "primary": "student@v1",
        "shadow": "teacher@v1",
        "n_candidates": 3,
        "mean_abs_probability_gap": 0.01,
        "max_abs_probability_gap": 0.02,
        "mean_abs_logit_gap": 0.1,
        "max_abs_logit_gap": 0.2,
        "kendall_tau_b": None,
        "top_k_overlap": 0.5,
        "rank_biased_overlap": 0.75,
        "top_1_flip": True,
        "primary_sum": 1.5,
        "shadow_sum": 1.25,
        "primary_us": 100.0,
        "shadow_us": 1000.0,
    }
    return ShadowComparison(**{**fields, **given})
