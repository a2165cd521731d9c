"""A phase as arrays per unit: who belongs to which arm, what they clicked, and the moments at which one looks.

A unit belongs to the arm of its first exposure, whatever came later: units of several arms are no reason to take
anybody out, which would bias arms of unequal weights. They are counted, and too many make the phase invalid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from service.events.reading import PhaseRows
from service.experiment.statistics.ratio import RatioSums

LOOKS = 30
PENDING_MS = 10_000
"""A request this young without an answer is not over: it is no error yet, or the slower arm would have more of them."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """U units, E requests and I impressions of K arms, seen at T looks."""

    rows: PhaseRows
    arms: tuple[str, ...]
    """K names, the control first, as in the document."""
    first_U: Ints
    """Each unit's first exposure, an index into E."""
    arm_U: Ints
    """Arm of that exposure, an index into `arms`; -1 for an arm the document does not know."""
    clicks_U: Ints
    impressions_U: Ints
    unit_I: Ints
    from_ms: int
    """First exposure; 0 if there is none."""
    until_ms: int
    """Last exposure or feedback; 0 if there is none."""
    looks_T: Ints
    """Moments, evenly from the first exposure to the last event, which is one of them."""
    new_units_TK: Ints
    """Units that came between one look and the next."""

    @classmethod
    def of(cls, rows: PhaseRows, arms: tuple[str, ...]) -> Self:
        """Arrange what was read of a phase with these arms, the control first."""
        number = {arm: index for index, arm in enumerate(arms)}
        known_A = np.array([number.get(arm, -1) for arm in rows.arms], np.int64)
        first_U = np.unique(rows.unit_E, return_index=True)[1].astype(np.int64)  # exposures are in the order of time
        arm_U = known_A[rows.arm_E[first_U]] if len(first_U) else np.zeros(0, np.int64)
        unit_I = rows.unit_E[rows.exposure_I]
        from_ms = int(rows.ts_ms_E.min()) if len(first_U) else 0
        until_ms = max(int(rows.ts_ms_E.max(initial=0)), int(rows.ts_ms_I.max(initial=0)))
        looks_T = np.unique(np.linspace(from_ms, until_ms, LOOKS + 1).astype(np.int64)[1:]) if len(first_U) else first_U
        return cls(
            rows=rows,
            arms=arms,
            first_U=first_U,
            arm_U=arm_U,
            clicks_U=np.bincount(unit_I[rows.clicked_I], minlength=len(arm_U)),
            impressions_U=np.bincount(unit_I, minlength=len(arm_U)),
            unit_I=unit_I,
            from_ms=from_ms,
            until_ms=until_ms,
            looks_T=looks_T,
            new_units_TK=_new_units(looks_T, rows.ts_ms_E[first_U], arm_U, len(arms)),
        )

    def of_arm(self, arm: int) -> Bools:
        """Which requests are of an arm's units, [E]."""
        return np.asarray(self.arm_U[self.rows.unit_E] == arm)

    def impressions_of(self, arm: int) -> Bools:
        """Which impressions are of an arm's units, [I]."""
        return np.asarray(self.arm_U[self.unit_I] == arm)

    def over(self) -> Bools:
        """Which requests were answered, or should have been by now, [E]."""
        return (self.rows.status_E > 0) | (self.rows.ts_ms_E < self.until_ms - PENDING_MS)

    def units_by_arm(self) -> Ints:
        """Units of each arm, [K]."""
        return np.bincount(self.arm_U[self.arm_U >= 0], minlength=len(self.arms))

    def sums(self, arm: int) -> RatioSums:
        """Clicks and impressions of an arm's units."""
        of_arm_U = self.arm_U == arm
        return RatioSums.of(self.clicks_U[of_arm_U], self.impressions_U[of_arm_U])

    def sums_by_look(self) -> list[list[RatioSums]]:
        """The sums of every arm as they were at each look: units exposed by then, feedback that had come by then.

        Read once and added up from look to look; [T][K].
        """
        look_I = np.searchsorted(self.looks_T, self.rows.ts_ms_I)
        units, exposed_TK = len(self.arm_U), np.cumsum(self.new_units_TK, axis=0)
        clicks_U, impressions_U = np.zeros(units, np.int64), np.zeros(units, np.int64)
        members = [np.flatnonzero(self.arm_U == arm) for arm in range(len(self.arms))]
        looks = []
        for look, exposed_K in enumerate(exposed_TK.tolist()):
            new_I = look_I == look
            clicks_U += np.bincount(self.unit_I[new_I & self.rows.clicked_I], minlength=units)
            impressions_U += np.bincount(self.unit_I[new_I], minlength=units)
            sums_K = (RatioSums.of(clicks_U[of_arm], impressions_U[of_arm]) for of_arm in members)
            # Units that are still to come have neither clicked nor seen anything: they add nothing but their number.
            looks.append([sums._replace(n=exposed) for sums, exposed in zip(sums_K, exposed_K, strict=True)])
        return looks


def _new_units(looks_T: Ints, first_ms_U: Ints, arm_U: Ints, arms: int) -> Ints:
    known_U = arm_U >= 0
    look_U = np.searchsorted(looks_T, first_ms_U[known_U])
    return np.bincount(look_U * arms + arm_U[known_U], minlength=len(looks_T) * arms).reshape(-1, arms)
