"""Guardrails: the treatment may be worse, but not by the margin or more.

    pass       the worse end of the two-sided interval stays within the margin
    fail       its better end is beyond the margin
    undecided  the margin lies in the interval: more units

One-sided at α/2 each. Whatever the verdict at the end, harm is looked for all the time, by the anytime-valid interval:
`deteriorated` when it lies beyond zero, `breached` when it lies beyond the margin.

Source: reference section 1.4 (non-inferiority; Spotify's deterioration tests).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import isfinite
from typing import Literal

from scipy.special import stdtr

from service.experiment.statistics.effect import Effect, Interval, difference
from service.experiment.statistics.errors import StatisticsError
from service.experiment.statistics.ratio import RatioSums, ratio
from service.experiment.statistics.sequential import anytime_interval


class Outcome(Enum):
    """What a guardrail says."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    UNDECIDED = "undecided"


@dataclass(frozen=True, kw_only=True, slots=True)
class Guardrail:
    """One metric judged against its margin; harm is positive where the treatment is worse."""

    outcome: Outcome
    harm: float
    """How much worse the treatment is, in the effect's unit."""
    interval: Interval
    """Of harm, fixed horizon, two-sided."""
    margin: float
    p: float
    """One-sided, against harm of the margin or more; small where the guardrail passes."""
    anytime: Interval
    """Of harm, valid at every look."""
    deteriorated: bool
    """Worse than the control, at every look."""
    breached: bool
    """Worse than the margin, at every look."""


def non_inferiority(effect: Effect, margin: float, *, harm: Literal["rise", "drop"], planned: float) -> Guardrail:
    """Judge a difference or a lift.

    Args:
        effect: of `ratio.absolute_effect`, `ratio.lift`, `cuped.adjusted`, `quantiles.compare_quantiles`.
        margin: harm that is accepted, above 0, in the effect's unit: a fraction of a lift, or a difference.
        harm: whether it is harm when the metric rises (latency, errors, loss) or drops (CTR).
        planned: N*, units of both arms together at which anytime-valid intervals are tightest.

    Raises:
        StatisticsError: the margin is not above 0.
    """
    if not margin > 0:
        raise StatisticsError(f"margin: got {margin!r}, expected above 0; without one it is a test of superiority")
    sign = 1.0 if harm == "rise" else -1.0
    worse = sign * effect.estimate
    fixed, anytime = _turned(effect.interval, sign), _turned(anytime_interval(effect, planned=planned), sign)
    return Guardrail(
        outcome=_outcome(fixed, margin),
        harm=worse,
        interval=fixed,
        margin=margin,
        p=float(stdtr(effect.dof, (worse - margin) / effect.se)) if isfinite(effect.se) else 1.0,
        anytime=anytime,
        deteriorated=anytime[0] > 0,
        breached=anytime[0] > margin,
    )


def calibration_rise(treatment: RatioSums, control: RatioSums, *, alpha: float = 0.05) -> Effect:
    """|Σp/Σy - 1| of the treatment less that of the control.

    Absolute values bend at 1, where a normal interval promises too much: if the control is near it, twice. With the
    sign of the control's deviation as free as it is there, each end is at α/4: then either end errs α/2 at most.

    Args:
        treatment: sums with probabilities as numerators and clicks as denominators, per unit.
        control: the same.
        alpha: two-sided level that holds after all; the effect's own is half of it.

    Raises:
        StatisticsError: an arm without clicks.
    """
    ratios = [ratio(sums, arm) for sums, arm in ((treatment, "the treatment"), (control, "the control"))]
    t, c = (estimate._replace(value=abs(estimate.value - 1)) for estimate in ratios)
    return difference(t, c, alpha=alpha / 2)


def _outcome(harm: Interval, margin: float) -> Outcome:
    if harm[1] < margin:
        return Outcome.PASS
    return Outcome.FAIL if harm[0] > margin else Outcome.UNDECIDED


def _turned(interval: Interval, sign: float) -> Interval:
    low, high = sorted(sign * end for end in interval)
    return low, high
