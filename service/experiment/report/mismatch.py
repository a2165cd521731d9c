"""Whether the arms hold the units that their weights promise, and if not, where the units went.

Two tests: χ² once, the sequential one at every look; the second decides, because a report is read again and again. The
diagnosis tells two faults apart where raw units are stored: the arm worked out anew from a unit's hash is not the one
stored (assignment), or it is, and exposures of one arm are missing (capture). Without raw units it looks for an hour,
a day or a size of request that the mismatch comes from: all known before the arm could do anything about them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from itertools import accumulate, pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.experiment.assignment import bucket
from service.experiment.document import Experiment
from service.experiment.report.arrays import Bools, Floats, Phase
from service.experiment.report.schema_checks import DeviationView, Diagnosis, Recomputed, SrmView
from service.experiment.statistics.breakdown import Deviation, breakdown
from service.experiment.statistics.srm import ALARM, chi_square, sequential

Finding = Literal["none", "assignment", "capture", "level", "unknown"]

_HOUR_MS = 3_600_000
_SHOWN = 5
_HOURS = np.array([f"{hour:02}:00" for hour in range(24)])
_BANDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_BAND_NAMES = np.array(
    [
        *(f"{low + 1} to {high}" if low + 1 < high else str(high) for low, high in pairwise((0, *_BANDS))),
        f"over {_BANDS[-1]}",
    ]
)


def srm_over_time(phase: Phase, experiment: Experiment) -> Floats:
    """Sequential p at each look, [T]."""
    shares = [arm.weight for arm in experiment.arms]
    return sequential(phase.new_units_TK, shares) if len(phase.looks_T) else np.zeros(0)


def mismatch(phase: Phase, experiment: Experiment, p_T: Floats, raw: Mapping[str, str]) -> SrmView:
    """Test the split and explain it.

    Args:
        phase: what was read.
        experiment: what was promised.
        p_T: from `srm_over_time`.
        raw: unit → arm of its first exposure, for the units that are stored as they are.
    """
    counts = phase.units_by_arm().tolist()
    weights = [arm.weight for arm in experiment.arms]
    sequential_p = float(p_T[-1]) if len(p_T) else None
    alarm = sequential_p is not None and sequential_p < ALARM
    return SrmView(
        counts=dict(zip(phase.arms, counts, strict=True)),
        shares={arm: weight / sum(weights) for arm, weight in zip(phase.arms, weights, strict=True)},
        chi2_p=chi_square(counts, weights) if sum(counts) else None,
        sequential_p=sequential_p,
        alarm_below=ALARM,
        alarm=alarm,
        diagnosis=_diagnosis(phase, experiment, raw, alarm=alarm),
    )


def _diagnosis(phase: Phase, experiment: Experiment, raw: Mapping[str, str], *, alarm: bool) -> Diagnosis:
    found = breakdown(_dimensions(phase), phase.arm_U[phase.arm_U >= 0], [arm.weight for arm in experiment.arms])
    recomputed = _recomputed(experiment, raw) if raw else None
    finding, text = _finding(phase, found, recomputed) if alarm else ("none", "No mismatch is called.")
    return Diagnosis(
        finding=finding,
        text=text,
        deviations=tuple(_deviation(phase, deviation) for deviation in found[:_SHOWN]),
        recomputed=recomputed,
        answered=_shares(phase, phase.rows.status_E > 0),
        fallback=_shares(phase, phase.rows.fallback_E),
        models=_first_models(phase),
    )


def _dimensions(phase: Phase) -> dict[str, NDArray[np.generic]]:
    """What was known of a unit's first request before its arm could do anything about it; times are UTC."""
    known_U = phase.arm_U >= 0
    first_U = phase.first_U[known_U]
    ts_ms_U = phase.rows.ts_ms_E[first_U]
    band_U = np.searchsorted(_BANDS, phase.rows.n_candidates_E[first_U])
    return {
        "hour of day": _HOURS[ts_ms_U // _HOUR_MS % 24],
        "day": np.datetime_as_string(ts_ms_U.astype("datetime64[ms]"), unit="D"),
        "candidates": _BAND_NAMES[band_U],
    }


def _finding(phase: Phase, found: list[Deviation], recomputed: Recomputed | None) -> tuple[Finding, str]:
    if recomputed is not None and recomputed.mismatches:
        share = recomputed.mismatches / recomputed.units
        return "assignment", (
            f"{recomputed.mismatches} of {recomputed.units} units ({share:.2%}) are stored with another arm than their "
            "hash gives: look for a caller that forces arms or a document that changed within the phase."
        )
    most = len(phase.arm_U) / 2  # without most of the units nothing is left to be uneven
    worst = next((one for one in found if one.p_adjusted < ALARM <= one.p_rest and sum(one.counts) < most), None)
    if worst is not None:
        return (
            "level",
            f"Without {worst.dimension} {worst.level} the arms are as promised: look for what happened there.",
        )
    if recomputed is not None:
        return "capture", (
            f"All {recomputed.units} units have the arm that their hash gives, so exposures of an arm are missing: "
            "look for a worker, client or filter that loses them."
        )
    return "unknown", "No hour, day or size explains it; with CTR_RAW_UNITS=true the arms could be worked out again."


def _recomputed(experiment: Experiment, raw: Mapping[str, str]) -> Recomputed:
    ends = list(accumulate(arm.weight for arm in experiment.arms))
    drawn = {unit: experiment.arms[bisect_right(ends, bucket(f"{experiment.salt}.arm", unit))].name for unit in raw}
    counts = Counter(drawn.values())
    return Recomputed(
        units=len(raw),
        mismatches=sum(drawn[unit] != arm for unit, arm in raw.items()),
        chi2_p=chi_square([counts[arm.name] for arm in experiment.arms], [arm.weight for arm in experiment.arms]),
    )


def _deviation(phase: Phase, deviation: Deviation) -> DeviationView:
    return DeviationView(
        dimension=deviation.dimension,
        level=deviation.level,
        counts=dict(zip(phase.arms, deviation.counts, strict=True)),
        p=deviation.p,
        p_adjusted=deviation.p_adjusted,
        p_rest=deviation.p_rest,
    )


def _shares(phase: Phase, case_E: Bools) -> dict[str, float]:
    """Arm → share of its requests; arms without any are left out."""
    of_arms = {arm: phase.of_arm(number) for number, arm in enumerate(phase.arms)}
    return {arm: float(case_E[of_arm_E].mean()) for arm, of_arm_E in of_arms.items() if of_arm_E.any()}


def _first_models(phase: Phase) -> dict[str, dict[str, int]]:
    """Arm → model of each unit's first answer → units; the arm's own doing, so it is shown and not tested."""
    model_U = phase.rows.model_E[phase.first_U]
    names = (*phase.rows.models, "")  # -1 reads the last
    return {
        arm: {
            names[model]: int(units)
            for model, units in zip(*np.unique(model_U[phase.arm_U == number], return_counts=True), strict=True)
        }
        for number, arm in enumerate(phase.arms)
    }
