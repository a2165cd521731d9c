"""A figure of a simulation: what was found, and between what it had to lie."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from loadtest.proof.checks import Check


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A figure against its target; one without a target is there for contrast."""

    target: str
    """T3, T4, ...; several findings may share one."""
    what: str
    found: float
    low: float = -inf
    high: float = inf
    contrast: bool = False
    """What the wrong way would have given."""
    percent: bool = True
    """Whether `found` is a share, shown as percent."""

    @property
    def met(self) -> bool | None:
        """Whether it lies where it should; None for a contrast."""
        return None if self.contrast else bool(self.low <= self.found <= self.high)

    def as_check(self) -> Check:
        """As a line of a proof."""
        what = self.what if self.contrast else f"{self.target} {self.what}"
        return Check(what=what, target=self.wanted, found=self.shown(self.found), met=self.met)

    def shown(self, number: float) -> str:
        """As people read it."""
        return f"{100 * number:.3g} %" if self.percent else f"{number:.2g}"

    @property
    def wanted(self) -> str:
        """The target in words."""
        if self.contrast:
            return "for contrast"
        if self.low == -inf:
            return f"≤ {self.shown(self.high)}"
        return f"{self.shown(self.low)} to {self.shown(self.high)}"
