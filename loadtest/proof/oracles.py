"""How far the statistics are from tea-tasting, statsmodels and scipy, at most, over random experiments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import tea_tasting
from scipy import stats
from statsmodels.stats.multitest import multipletests

from loadtest.proof.finding import Finding
from loadtest.proof.population import with_history
from loadtest.proof.simulations import CTR, Steps
from service.experiment.statistics.cuped import History, adjusted
from service.experiment.statistics.effect import Effect
from service.experiment.statistics.multiplicity import benjamini_hochberg, holm
from service.experiment.statistics.ratio import RatioSums, absolute_effect, lift
from service.experiment.statistics.srm import chi_square

AGREED = 1e-9
NAMES = ("clicks", "impressions", "before", "impressions_before")

Pairs = Iterable[tuple[float, float]]


def agreement(experiments: int, steps: Steps, seed: int = 5) -> list[Finding]:
    """T5: the largest relative difference of any effect, standard error or p."""
    generator = np.random.default_rng(seed)
    worst: dict[str, float] = {}
    for _ in steps(experiments):
        for what, pairs in _experiment(generator).items():
            gap = float(max(abs(ours - theirs) / max(abs(theirs), 1e-300) for ours, theirs in pairs))
            worst[what] = max(worst.get(what, 0.0), gap)
    return [Finding(target="T5", what=what, found=gap, high=AGREED, percent=False) for what, gap in worst.items()]


def _experiment(generator: np.random.Generator) -> Mapping[str, Pairs]:
    """Ours beside theirs, of one random experiment."""
    sizes = generator.integers(300, 3000, 2)
    t, c = (with_history(generator, int(size), CTR * generator.uniform(0.9, 1.1)) for size in sizes)
    table = _table(t, c)
    of_ctr = _tea(tea_tasting.RatioOfMeans(*NAMES[:2]), table)
    of_srm = _tea(tea_tasting.SampleRatio(method="norm", correction=False), table)
    with_cuped = _tea(tea_tasting.RatioOfMeans(*NAMES), table)
    welch = stats.ttest_ind(np.asarray(t.clicks_U, dtype=float), np.asarray(c.clicks_U, dtype=float), equal_var=False)
    plain, relative, srm, p_M = *_effects(t, c), chi_square(sizes, (1, 1)), generator.random(8) ** 3
    return {
        "tea-tasting, effect, se, p of a CTR": [*_compared(plain, of_ctr), (relative.estimate, of_ctr.rel_effect_size)],
        "tea-tasting, the same with CUPED": _compared(adjusted(t, c).absolute, with_cuped),
        "tea-tasting, p of an SRM": [(srm, of_srm.pvalue)],
        "scipy, χ² and Welch's test": [(srm, stats.chisquare(sizes).pvalue), (_welch(t, c).p, welch.pvalue)],
        "statsmodels, Holm and Benjamini-Hochberg": [
            *zip(holm(p_M), multipletests(p_M, method="holm")[1], strict=True),
            *zip(benjamini_hochberg(p_M), multipletests(p_M, method="fdr_bh")[1], strict=True),
        ],
    }


def _effects(t: History, c: History) -> tuple[Effect, Effect]:
    sums = [RatioSums.of(arm.clicks_U, arm.impressions_U) for arm in (t, c)]
    return absolute_effect(sums[0], sums[1]), lift(sums[0], sums[1])


def _welch(t: History, c: History) -> Effect:
    sums = [RatioSums.of(arm.clicks_U, np.ones_like(arm.clicks_U)) for arm in (t, c)]
    return absolute_effect(sums[0], sums[1])


def _compared(ours: Effect, theirs: Any) -> Pairs:
    return [
        (ours.estimate, theirs.effect_size),
        (ours.estimate / ours.se, theirs.statistic),
        (ours.p, theirs.pvalue),
    ]


def _table(t: History, c: History) -> pa.Table:
    columns = {name: np.concatenate([c[i], t[i]]) for i, name in enumerate(NAMES)}
    sizes = len(np.asarray(c.clicks_U)), len(np.asarray(t.clicks_U))
    return pa.table({"variant": np.repeat([0, 1], sizes), **columns})


def _tea(metric: Any, table: pa.Table) -> Any:
    return tea_tasting.Experiment(metric=metric).analyze(table)["metric"]
