"""Who sees which arm: pure, deterministic, and the same in every worker, release and language.

    bucket(salt, unit) = first 8 bytes of SHA-256(salt:unit), big-endian, modulo 10,000

Three hashes under three salts decide one after another which experiment of the layer a unit belongs to, whether it is
included, and which arm it gets. One hash for two of these questions would leave some arms empty while a ramp is low.

Vectors to reproduce it elsewhere: tests/service/experiment/assignment_vectors.json.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from hashlib import sha256
from itertools import accumulate
from typing import Any, NamedTuple, Self

from service.experiment.document import BUCKETS, Document, Experiment


class Reason(Enum):
    """Why a unit gets its arm; only ASSIGNED is analysed. In order of precedence."""

    KILL_SWITCH = "kill_switch"
    FORCED = "forced"
    NO_UNIT = "no_unit"
    HOLDOUT = "holdout"
    TARGETING = "targeting"
    LAYER = "layer"
    """In no experiment's buckets."""
    RAMP = "ramp"
    """In an experiment's buckets, and not yet included."""
    ASSIGNED = "assigned"


class Assignment(NamedTuple):
    """What was decided about one request."""

    experiment: Experiment | None
    """The experiment the unit belongs to; None when it belongs to none."""
    arm: str
    """The arm's name; the default model's where nothing was drawn."""
    model: str
    """The model that answers."""
    propensity: float
    """Probability of this arm for an included unit; 1 where nothing was drawn."""
    reason: Reason


def bucket(salt: str, unit: str) -> int:
    """The bucket of a unit under a salt, 0 to 9999."""
    digest = sha256(f"{salt}:{unit}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS


class Assigner:
    """Assigns units under one document: its salts and bounds are worked out once.

    Args:
        document: what experiments run under.
    """

    def __init__(self, document: Document) -> None:
        self._default = document.default
        self._layer_salt = document.layer.salt
        self._held_out = round(document.layer.holdout * 100)
        self._draws = [_Draw.of(experiment) for experiment in document.experiments]
        named = [(arm.name, (draw.experiment, arm)) for draw in self._draws for arm in draw.experiment.arms]
        self._names = dict(reversed(named))  # of two arms of one name the first experiment's is forced
        self._owner = _owners(self._draws)

    def assign(self, unit: str | None, context: Mapping[str, Any], forced: str | None = None) -> Assignment:
        """Decide about one request.

        Args:
            unit: the id that is hashed, None when the request has none.
            context: its context fields, for targeting.
            forced: name of the arm a trusted caller asks for, one of `arm_names`.
        """
        draw = self._owner[bucket(self._layer_salt, unit)] if unit is not None and self._draws else None
        experiment = None if draw is None else draw.experiment
        if experiment is not None and experiment.kill:
            return self._outside(experiment, Reason.KILL_SWITCH)
        if forced is not None:
            asked, arm = self._names[forced]
            return Assignment(asked, arm.name, arm.answered_by, 1.0, Reason.FORCED)
        if unit is None:
            return self._outside(None, Reason.NO_UNIT)
        if self._held_out and bucket(f"{self._layer_salt}.holdout", unit) < self._held_out:
            return self._outside(None, Reason.HOLDOUT)
        return self._outside(None, Reason.LAYER) if draw is None else self._draw(draw, unit, context)

    def _draw(self, draw: _Draw, unit: str, context: Mapping[str, Any]) -> Assignment:
        """Decide about a unit in an experiment's buckets."""
        if not draw.targets(context):
            return self._outside(draw.experiment, Reason.TARGETING)
        if draw.included < BUCKETS and bucket(draw.inclusion_salt, unit) >= draw.included:
            return self._outside(draw.experiment, Reason.RAMP)
        arm = draw.experiment.arms[bisect_right(draw.ends, bucket(draw.arm_salt, unit))]
        return Assignment(draw.experiment, arm.name, arm.answered_by, arm.weight / BUCKETS, Reason.ASSIGNED)

    @property
    def arm_names(self) -> Collection[str]:
        """The arms of all experiments."""
        return self._names.keys()

    def _outside(self, experiment: Experiment | None, reason: Reason) -> Assignment:
        return Assignment(experiment, self._default, self._default, 1.0, reason)


class _Draw(NamedTuple):
    """One experiment, ready to draw."""

    experiment: Experiment
    inclusion_salt: str
    arm_salt: str
    included: int
    """Buckets of the inclusion hash that are in."""
    ends: list[int]
    """Cumulative weights of the arms."""
    wanted: list[tuple[str, frozenset[str]]]
    """Context field → values, of which a request must have one."""

    @classmethod
    def of(cls, experiment: Experiment) -> Self:
        return cls(
            experiment=experiment,
            inclusion_salt=f"{experiment.salt}.in",
            arm_salt=f"{experiment.salt}.arm",
            included=round(experiment.ramp * 100),
            ends=list(accumulate(arm.weight for arm in experiment.arms)),
            wanted=[(field, frozenset(map(str, values))) for field, values in experiment.targeting.items()],
        )

    def targets(self, context: Mapping[str, Any]) -> bool:
        """Whether a request with these context fields is meant."""
        return all(str(context.get(field)) in values for field, values in self.wanted)


def _owners(draws: Sequence[_Draw]) -> list[_Draw | None]:
    """Bucket of the layer → the experiment that owns it."""
    owners: list[_Draw | None] = [None] * BUCKETS
    for draw in draws:
        for first, end in draw.experiment.ranges:
            owners[first:end] = [draw] * (end - first)
    return owners
