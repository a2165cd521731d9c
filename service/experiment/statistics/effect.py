"""The effect of one arm over another, from an estimate and a variance of each.

    difference  Δ = T - C           Var(Δ) = Var(T) + Var(C)
    lift        L = (T - C) / C     Var(L) = Var(T) / C² + Var(C) · T² / C⁴        (delta method)

Arms are independent. Degrees of freedom after Welch and Satterthwaite: (a + b)² / (a² / (n_T - 1) + b² / (n_C - 1))
with a and b the two terms of the variance. A lift whose control is small or noisy gets Fieller's interval instead.

Source: reference section 1.4; Deng, Knoblich, Lu, "Applying the delta method in metric analytics", KDD 2018.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, isinf, sqrt
from typing import Literal, NamedTuple

from scipy.special import stdtr, stdtrit

from service.experiment.statistics.errors import StatisticsError

FEW_UNITS = 200
"""Below so many units in an arm a lift gets Fieller's interval."""
NOISY_CONTROL = 0.1
"""So does one whose control has a larger relative standard error: a hundred clicks or fewer."""

Interval = tuple[float, float]
Method = Literal["delta", "fieller", "cuped", "outer"]


class Estimate(NamedTuple):
    """What one arm shows."""

    value: float
    variance: float
    """Of `value`, not per unit."""
    units: int
    """It comes from so many independent ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """A difference or a lift, positive if the treatment has more."""

    estimate: float
    """Difference in the metric's unit, or lift as a fraction (0.01 is one percent)."""
    se: float
    """Standard error of `estimate`."""
    dof: float
    """Degrees of freedom of the t distribution behind interval and p."""
    interval: Interval
    """Two-sided, fixed horizon, of confidence 1 - alpha; an end may be infinite under Fieller."""
    p: float
    """Two-sided, against no effect."""
    p_greater: float
    """One-sided: how surprising were this much or more, if the treatment had no more than the control."""
    p_less: float
    """One-sided, the other way."""
    units: int
    """Of both arms."""
    alpha: float
    """Two-sided level of `interval`."""
    method: Method
    """How the interval was found."""

    @property
    def bounded(self) -> bool:
        """Whether the interval has two finite ends."""
        return not any(map(isinf, self.interval))


def difference(treatment: Estimate, control: Estimate, *, alpha: float = 0.05, method: Method = "delta") -> Effect:
    """Δ = T - C, in the metric's unit.

    Raises:
        StatisticsError: neither arm varies, an arm has one unit, or alpha is not between 0 and 1.
    """
    dof, se = _dof(treatment, control), sqrt(treatment.variance + control.variance)
    estimate = treatment.value - control.value
    half, t = student_quantile(dof, alpha) * se, estimate / se
    return Effect(
        estimate=estimate,
        se=se,
        dof=dof,
        interval=(estimate - half, estimate + half),
        p=2 * float(stdtr(dof, -abs(t))),
        p_greater=float(stdtr(dof, -t)),
        p_less=float(stdtr(dof, t)),
        units=treatment.units + control.units,
        alpha=alpha,
        method=method,
    )


def relative(treatment: Estimate, control: Estimate, *, alpha: float = 0.05, method: Method = "delta") -> Effect:
    """L = T / C - 1, a fraction; with Fieller's interval and the difference's p where the control is small or noisy.

    Raises:
        StatisticsError: the control is not above zero, or as `difference`.
    """
    _check_control(control)
    few = min(treatment.units, control.units) < FEW_UNITS
    if few or sqrt(control.variance) > NOISY_CONTROL * control.value:
        return fieller(treatment, control, alpha=alpha)
    times = treatment.value / control.value
    scaled = Estimate(times, treatment.variance / control.value**2, treatment.units)
    one = Estimate(1.0, control.variance * (times / control.value) ** 2, control.units)
    return difference(scaled, one, alpha=alpha, method=method)


def fieller(treatment: Estimate, control: Estimate, *, alpha: float = 0.05) -> Effect:
    """The lift with Fieller's interval: every ratio λ for which T - λ·C is not significantly different from zero.

        (T - λC)² ≤ t² · (Var(T) + λ²·Var(C))

    With g = t²·Var(C) / C² its ends are (T/C ± t/C·√((1 - g)·Var(T) + (T/C)²·Var(C))) / (1 - g) - 1. At g ≥ 1 the
    control is not significantly different from zero: the ratios that are not rejected reach infinity, on one side,
    around the outside or everywhere, and the interval is (-inf, inf). p and dof are the difference's, so that
    p < alpha exactly where a finite interval leaves out 0.

    Source: Fieller 1954; reference section 1.4.

    Raises:
        StatisticsError: as `relative`.
    """
    _check_control(control)
    plain = difference(treatment, control, alpha=alpha)
    times = treatment.value / control.value
    t = student_quantile(plain.dof, alpha)
    g = t * t * control.variance / control.value**2
    interval = (-inf, inf)
    if g < 1:
        half = t / control.value * sqrt(treatment.variance * (1 - g) + times * times * control.variance)
        interval = ((times - half) / (1 - g) - 1, (times + half) / (1 - g) - 1)
    se = sqrt(treatment.variance + times * times * control.variance) / control.value
    return replace(plain, estimate=times - 1, se=se, interval=interval, method="fieller")


def student_quantile(dof: float, alpha: float) -> float:
    """What |t| exceeds with probability alpha.

    Raises:
        StatisticsError: alpha is not between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise StatisticsError(f"alpha is {alpha!r}: expected between 0 and 1")
    return -float(stdtrit(dof, alpha / 2))


def _dof(treatment: Estimate, control: Estimate) -> float:
    """Welch-Satterthwaite, once there is anything to estimate it from."""
    n_treatment, n_control = treatment.units, control.units
    if min(n_treatment, n_control) < 2:  # noqa: PLR2004
        raise StatisticsError(f"units: got {n_treatment} and {n_control}, expected 2 or more in each arm")
    a, b = treatment.variance, control.variance
    if a + b <= 0:
        raise StatisticsError(
            f"no unit differs from another in {n_treatment} and {n_control} units: without variance nothing can be "
            "said about chance; wait for clicks"
        )
    # As a share of the whole: squares of small variances would vanish.
    share = a / (a + b)
    return 1 / (share**2 / (n_treatment - 1) + (1 - share) ** 2 / (n_control - 1))


def _check_control(control: Estimate) -> None:
    if control.value <= 0:
        raise StatisticsError(
            f"a lift is relative to the control, whose value is {control.value:g} over {control.units} units: expected "
            "above 0; wait for its first clicks, or take the absolute difference"
        )
