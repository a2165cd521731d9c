"""How two models scored the same candidates, summed up over the shadow comparisons of the phase's time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from service.events.records import ShadowComparison
from service.experiment.report.schema_checks import ShadowRow, Spread


def shadow_rows(comparisons: Sequence[ShadowComparison]) -> tuple[ShadowRow, ...]:
    """One row per pair of models, in the order of their names."""
    pairs: dict[tuple[str, str], list[ShadowComparison]] = defaultdict(list)
    for comparison in comparisons:
        pairs[comparison.primary, comparison.shadow].append(comparison)
    return tuple(_row(primary, shadow, pairs[primary, shadow]) for primary, shadow in sorted(pairs))


def _row(primary: str, shadow: str, compared: Sequence[ShadowComparison]) -> ShadowRow:
    taus = [one.kendall_tau_b for one in compared if one.kendall_tau_b is not None]
    primary_sum = sum(one.primary_sum for one in compared)
    return ShadowRow(
        primary=primary,
        shadow=shadow,
        n=len(compared),
        candidates=sum(one.n_candidates for one in compared),
        probability_gap=_spread([one.mean_abs_probability_gap for one in compared]),
        logit_gap=_spread([one.mean_abs_logit_gap for one in compared]),
        kendall_tau_b=float(np.mean(taus)) if taus else None,
        top_k_overlap=float(np.mean([one.top_k_overlap for one in compared])),
        rank_biased_overlap=float(np.mean([one.rank_biased_overlap for one in compared])),
        top_1_flips=float(np.mean([one.top_1_flip for one in compared])),
        calibration_gap=sum(one.shadow_sum for one in compared) / primary_sum - 1 if primary_sum > 0 else None,
        primary_us=_spread([one.primary_us for one in compared]),
        shadow_us=_spread([one.shadow_us for one in compared]),
    )


def _spread(values: Sequence[float]) -> Spread:
    p50, p95, p99 = np.quantile(np.array(values), (0.5, 0.95, 0.99)).tolist()
    return Spread(mean=float(np.mean(values)), p50=p50, p95=p95, p99=p99)
