"""The truth of a run: sums of true click probabilities, so that an estimate meets no other estimate.

Two truths, because they answer two questions. What was *shown* in an arm has a true click rate, the mean of the true
probabilities of its impressions; clicks differ from it by chance alone. What an arm *causes* is the click rate over all
users had every one of them been in it; arms differ in it by the lift alone, while what was shown also differs by who
happened to be drawn into which arm. An interval for the lift promises to contain the second.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from loadtest.traffic.draws import Numbers


@dataclass(kw_only=True, slots=True)
class ArmTruth:
    """One arm of a run."""

    requests: int = 0
    impressions: int = 0
    clicks: int = 0
    expected_clicks: float = 0.0
    """Sum of the true probabilities of what was shown."""
    units: set[str] = field(default_factory=set)

    @property
    def true_rate(self) -> float:
        """True click rate of what was shown; nan without any."""
        return self.expected_clicks / self.impressions if self.impressions else float("nan")


@dataclass(kw_only=True, slots=True)
class _Unit:
    impressions: int = 0
    expected_clicks: float = 0.0


class Truth:
    """Adds up a run."""

    def __init__(self) -> None:
        self.arms: defaultdict[str, ArmTruth] = defaultdict(ArmTruth)
        """What was shown by an assigned arm, its feedback sent in time."""
        self._units: defaultdict[str, _Unit] = defaultdict(_Unit)
        self._caused: defaultdict[str, float] = defaultdict(float)
        self._caused_impressions: defaultdict[str, int] = defaultdict(int)

    def shown(self, arm: str, unit: str, probability_K: Numbers, clicked_K: npt.NDArray[np.bool_]) -> None:
        """Add a request of an assigned unit: the true probability [K] of each impression, and its clicks."""
        seen, by_unit, expected = self.arms[arm], self._units[unit], float(probability_K.sum())
        seen.requests += 1
        seen.impressions += len(probability_K)
        seen.clicks += int(clicked_K.sum())
        seen.expected_clicks += expected
        seen.units.add(unit)
        by_unit.impressions += len(probability_K)
        by_unit.expected_clicks += expected

    def caused(self, arm: str, probability_K: Numbers) -> None:
        """Add what a request would have had in an arm, whichever it was in; the same requests for every arm."""
        self._caused[arm] += float(probability_K.sum())
        self._caused_impressions[arm] += len(probability_K)

    @property
    def units_in_several_arms(self) -> int:
        """Units that more than one arm answered."""
        arms = [seen.units for seen in self.arms.values()]
        return sum(map(len, arms)) - len(set().union(*arms))

    def shown_lift(self, treatment: str, control: str) -> float:
        """Relative difference of the true rates of what was shown."""
        return self.arms[treatment].true_rate / self.arms[control].true_rate - 1

    def caused_rate(self, arm: str) -> float:
        """True click rate had every request been in this arm; nan where it was not asked."""
        impressions = self._caused_impressions[arm]
        return self._caused[arm] / impressions if impressions else float("nan")

    def caused_lift(self, treatment: str, control: str) -> float:
        """Relative difference of the click rates that two arms cause: what an experiment estimates."""
        return self.caused_rate(treatment) / self.caused_rate(control) - 1

    def intraclass_correlation(self) -> float:
        """Variance between units of their true click rate over the variance of one click; units count alike."""
        units = [unit for unit in self._units.values() if unit.impressions]
        rate_U = np.array([unit.expected_clicks / unit.impressions for unit in units])
        return float(rate_U.var() / (rate_U.mean() * (1 - rate_U.mean()))) if units else float("nan")

    def to_json(self, treatment: str | None, control: str | None) -> dict[str, Any]:
        """Everything for a file beside the report; what is not known is nan, which orjson writes as null."""
        arms = {
            name: {
                "requests": seen.requests,
                "units": len(seen.units),
                "impressions": seen.impressions,
                "clicks": seen.clicks,
                "expected_clicks": seen.expected_clicks,
                "true_ctr": seen.true_rate,
                "caused_ctr": self.caused_rate(name),
            }
            for name, seen in sorted(self.arms.items())
        }
        lifts: dict[str, Any] = {}
        if treatment is not None and control is not None and {treatment, control} <= arms.keys():
            lifts["shown_lift"] = self.shown_lift(treatment, control)
            lifts["caused_lift"] = self.caused_lift(treatment, control)
        common = {
            "treatment": treatment,
            "control": control,
            "units_in_several_arms": self.units_in_several_arms,
            "intraclass_correlation": self.intraclass_correlation(),
        }
        return {**common, **lifts, "arms": arms}
