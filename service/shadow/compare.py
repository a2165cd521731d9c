"""How alike two models score the same candidates: probabilities, logits, order, and what stands at the top.

    |Δp|, |Δlogit|        of every candidate; the logit is that of the calibrated probability, log p − log(1 − p)
    τ_b                   see kendall.py
    top-k overlap         |A ∩ B| / k of the first k = min(10, N) of both
    RBO                   (1 − r) Σ_d r^(d−1) |A_d ∩ B_d| / d, r = 0.9
    top-1 flip            the first of one is not the first of the other

Both lists hold the same N candidates, so from depth N on their agreement is 1 for ever: the sum over all depths is
the one up to N plus r^N. Identical orders give exactly 1 at every N, and nothing is estimated. Candidates of equal
probability keep the order of the request.

Source: Webber, Moffat, Zobel, A Similarity Measure for Indefinite Rankings, TOIS 2010.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.shadow.kendall import kendall_tau_b

PERSISTENCE = 0.9
"""The first 10 ranks carry 86 % of the weight."""
TOP = 10
"""Most candidates of a top list."""
_DEEPEST = 512
"""0.9^512 is 4e-24: no deeper rank changes a float64."""

_LOWEST = float(np.finfo(np.float32).smallest_normal)
_HIGHEST = float(np.nextafter(np.float32(1), np.float32(0)))
"""Next below 1 in float32. A probability that was rounded to 0 or 1 stands for its neighbour, so that its logit is
finite: -87.3 or 16.6, and the gap a lower bound."""

Probabilities = npt.NDArray[np.float32]
Gaps = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two models on the same N candidates."""

    probability_gap_N: Gaps
    """|Δp|."""
    logit_gap_N: Gaps
    """|Δlogit|."""
    kendall_tau_b: float | None
    """None where it is not defined: fewer than two candidates, or all tied."""
    top_k_overlap: float
    """In [0, 1]."""
    rank_biased_overlap: float
    """In [0, 1]."""
    top_1_flip: bool


def compare(first_N: Probabilities, second_N: Probabilities) -> Comparison:
    """Compare probabilities [N] of two models, N >= 1, finite; symmetric in both.

    Raises:
        ValueError: the two have another N, or none.
    """
    if first_N.shape != second_N.shape or first_N.ndim != 1 or not len(first_N):
        raise ValueError(
            f"got probabilities of shapes {first_N.shape} and {second_N.shape}, expected [N] twice, N >= 1"
        )
    positions_N, other_positions_N = _positions(first_N), _positions(second_N)
    shared_D = _shared(positions_N, other_positions_N)
    top = min(TOP, len(first_N))
    return Comparison(
        probability_gap_N=np.abs(first_N.astype(np.float64) - second_N),
        logit_gap_N=np.abs(logits(first_N) - logits(second_N)),
        kendall_tau_b=kendall_tau_b(first_N, second_N),
        top_k_overlap=float(shared_D[top - 1]) / top,
        rank_biased_overlap=_rank_biased_overlap(shared_D),
        top_1_flip=not shared_D[0],
    )


def logits(probabilities_N: Probabilities) -> Gaps:
    """Logits log p − log(1 − p) [N] in float64, finite for every p in [0, 1]."""
    clamped_N = np.clip(probabilities_N.astype(np.float64), _LOWEST, _HIGHEST)
    logits_N: Gaps = np.log(clamped_N) - np.log1p(-clamped_N)
    return logits_N


def _positions(probabilities_N: Probabilities) -> npt.NDArray[np.int64]:
    """Position [N] of every candidate when the highest probability is first, from 0."""
    positions_N = np.empty(len(probabilities_N), np.int64)
    positions_N[np.argsort(-probabilities_N, kind="stable")] = np.arange(len(probabilities_N))
    return positions_N


def _shared(positions_N: npt.NDArray[np.int64], other_positions_N: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """|A_d ∩ B_d| [D] for the depths d = 1 … min(N, 512): candidates whose later position is within the first d."""
    later_N = np.maximum(positions_N, other_positions_N)
    depth = min(len(later_N), _DEEPEST)
    return np.cumsum(np.bincount(later_N, minlength=depth)[:depth])


def _rank_biased_overlap(shared_D: npt.NDArray[np.int64]) -> float:
    """From |A_d ∩ B_d| [D]; beyond D the agreement is taken as 1, exact where D = N and to 1e-23 otherwise."""
    depths_D = np.arange(1, len(shared_D) + 1)
    # 1 minus the weighted disagreement: identical orders then give 1 and not a sum that rounds to nearly 1.
    disagreement_D = 1 - shared_D / depths_D
    return 1 - (1 - PERSISTENCE) * float(PERSISTENCE ** (depths_D - 1) @ disagreement_D)
