"""The report as data: what `python -m service report --json` and GET /experiment/report write.

Every number stands with how many units or requests it rests on, how it was found, and its interval where it has one.
Fractions are fractions (0.01 is one percent), times milliseconds since 1970, latencies microseconds. What cannot be
known from the data is null, never 0, and an interval's end that is not bounded is null too.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from math import isfinite
from typing import Any, Literal

import orjson

from service.experiment.report.schema_arms import ArmRow, Comparison, Decided, ImprovementRow
from service.experiment.report.schema_checks import QualityRow, ShadowRow, SrmView

SCHEMA = 1
"""Raised when a member changes its meaning or goes; new members do not raise it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why the verdict is what it is."""

    code: str
    """For machines; see `service.experiment.verdict.Code`."""
    text: str
    """The same for people, one sentence."""
    treatment: str | None = None
    """The arm it is about; null for all of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What to do."""

    verdict: Decided
    treatment: str | None
    """The arm to ship or to stop; null where the verdict is about none in particular."""
    reasons: tuple[Reason, ...]
    rule: Literal["anytime", "fixed"]
    """Which intervals decided: anytime-valid ones until the planned units are there, fixed ones from then on."""
    more_units: int | None
    """About so many units, of both arms together, are missing if the effect stays as it is; null if none or unknown."""
    by_treatment: dict[str, Decided]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The standard that was fixed before the phase began."""

    mode: Literal["ab", "aa"]
    goal: Literal["superiority", "non_inferiority"]
    margin: float
    alpha: float
    power: float
    planned_units: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RevisionView:
    """A document the phase ran under."""

    revision: int
    ts_ms: int
    action: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Where all of this comes from, so that it can be made again from the same events."""

    experiment: str
    phase: int
    revisions: tuple[RevisionView, ...]
    config_hash: str
    """First 16 hex digits of the SHA-256 of what decides and judges in this phase."""
    from_ms: int | None
    """First exposure; null if there is none."""
    until_ms: int | None
    """Last event."""
    units: int
    requests: int
    answered: int
    impressions: int
    clicks: int
    strays: int
    """Feedback on what was no candidate of its request; left out."""
    reasons: dict[str, int]
    """Reason of assignment → exposures; only assigned ones are analysed."""
    losses: int
    """Exposures and answers dropped, of any experiment."""
    exposure_loss: float
    multi_arm_units: int
    multi_arm_share: float
    mixed_models: dict[str, tuple[str, ...]]
    """Arm → versions, for arms that more than one version answered."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """All of it."""

    schema: int
    generated_at: str
    """The only member that the same events do not bring about again."""
    plan: Plan
    verdict: Verdict
    arms: tuple[ArmRow, ...]
    """The control first."""
    improvements: tuple[ImprovementRow, ...]
    comparisons: tuple[Comparison, ...]
    """One per treatment."""
    srm: SrmView
    quality: tuple[QualityRow, ...]
    shadow: tuple[ShadowRow, ...]
    provenance: Provenance


def to_json(report: Report, *, indent: bool = False) -> bytes:
    """The report as JSON; what is not finite is null."""
    options = orjson.OPT_APPEND_NEWLINE | (orjson.OPT_INDENT_2 if indent else 0)
    return orjson.dumps(finite(asdict(report)), option=options)


def finite(value: Any) -> Any:
    """The value with None for every number that is not finite, however deep it lies."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(one) for one in value]
    return value.value if isinstance(value, Enum) else value
