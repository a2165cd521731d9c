"""What a scorer is, and how one proves itself on a bundle's golden requests before it may answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from service.bundle import BundleError, EmbeddingTable, Golden, GoldenRequest, Ids

Logits = npt.NDArray[np.float32]

TOLERANCE = 1e-5
"""Largest accepted gap between a scorer's logit and the trained model's."""


class Scorer(Protocol):
    """Gives N candidates of one context their logits. Safe to call from several threads at once."""

    name: str
    """What runs the model, as /models names it."""

    def score(self, context_ids: Ids, candidate_ids: Ids) -> Logits:
        """Logits [N] float32 of candidates [N, Ff] int32 in the context [1, Fc] int32, N >= 1."""
        ...


ScorerFactory = Callable[[bytes, EmbeddingTable | None], Scorer]
"""The content of model.onnx and the table it refers to → a scorer; raises BundleError for a graph it cannot run."""


def prove(scorer: Scorer, golden: Golden, *, tolerance: float = TOLERANCE) -> float:
    """Run every golden request; return the largest gap between the scorer's logits and the trained model's.

    Raises:
        BundleError: a run failed, or its logits have another shape, are not finite, or are off by over `tolerance`.
    """
    largest = 0.0
    for position, request in enumerate(golden):
        logits_N = _run(scorer, request, position)
        if logits_N.shape != request.logits.shape or not np.isfinite(logits_N).all():
            raise BundleError(
                f"golden.npz: request {position}: {scorer.name} gives logits of shape {logits_N.shape}, "
                f"{int((~np.isfinite(logits_N)).sum())} of them not finite; "
                f"expected {request.logits.shape}, all finite; export again"
            )
        largest = max(largest, float(np.abs(logits_N.astype(np.float64) - request.logits).max()))
    if not largest <= tolerance:
        raise BundleError(
            f"golden.npz: {scorer.name} is off by up to {largest:.3g} from the trained model's logits, "
            f"expected at most {tolerance:g}; export again"
        )
    return largest


def _run(scorer: Scorer, request: GoldenRequest, position: int) -> Logits:
    """Logits [N] of one golden request; whatever a runtime raises becomes a BundleError."""
    try:
        return scorer.score(request.context_ids, request.candidate_ids)
    except Exception as error:
        raise BundleError(f"golden.npz: request {position}: {scorer.name} failed: {error}; export again") from error
