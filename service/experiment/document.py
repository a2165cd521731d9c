"""The document that experiments run under: a layer, its experiments, their arms, the shadow. Frozen, checked whole.

It is written in TOML or JSON, kept as a revision in the event store, and replaced as a whole. What decides who sees
which arm, and by what standard the outcome is judged, cannot change within a phase: see `check_change`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

BUCKETS = 10_000
"""Buckets of every hash; weights are counted in them too."""
_LONGEST = 160

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
"""A name or a salt: without a colon, so that `salt:unit` can be read in one way only."""
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Margin = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


class DocumentError(ValueError):
    """A document is refused.

    Attributes:
        field: where in it, e.g. `experiments.0.arms.1.weight`.
        got: what stands there, shortened.
        expected: what would have been right.
    """

    def __init__(self, field: str, got: object, expected: str) -> None:
        self.field = field
        self.got = _shown(got)
        self.expected = expected
        super().__init__(f"{field}: got {self.got}, expected {expected}")


class Part(BaseModel):
    """What every part of the document shares: immutable, no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, protected_namespaces=())


class Arm(Part):
    """One side of an experiment."""

    name: Name
    """Its name in answers, metrics and the report."""
    weight: Annotated[int, Field(ge=1, le=BUCKETS)]
    """Share of the included units, in 1/10,000."""
    model: Name | None = None
    """What answers for it: student, teacher or a name of CTR_ARMS; its own name if left out."""

    @property
    def answered_by(self) -> str:
        """Name of the model that answers."""
        return self.model or self.name


class Analysis(Part):
    """The standard an experiment is judged by, fixed before it begins."""

    goal: Literal["superiority", "non_inferiority"] = "non_inferiority"
    """Whether the treatment must beat the control's CTR, or only not lose more than `margin` of it, being cheaper."""
    margin: Margin = 0.01
    """Largest relative loss of CTR that is accepted under non-inferiority."""
    alpha: Margin = 0.05
    """Two-sided significance level; half of it for one-sided tests."""
    power: Margin = 0.8
    """Chance of finding the effect that was planned for."""
    planned_units: Annotated[int, Field(ge=100)] = 10_000
    """Units of both arms together at which the anytime-valid interval is tightest."""
    latency_p99_margin: Margin = 0.10
    """Guardrail: relative rise of the 99th percentile of latency."""
    error_rate_margin: Margin = 0.001
    """Guardrail: absolute rise of the share of requests without an answer."""
    fallback_rate_margin: Margin = 0.005
    """Guardrail: absolute rise of the share of requests that the control answered in place of the arm."""
    log_loss_margin: Margin = 0.005
    """Guardrail: relative rise of log loss over the entropy of the arm's own CTR."""
    calibration_margin: Margin = 0.02
    """Guardrail: absolute rise of |calibration - 1|."""


class Experiment(Part):
    """One experiment in one phase."""

    name: Name
    """Its name."""
    phase: Annotated[int, Field(ge=1)] = 1
    """Counts up with every change of what decides or judges; a new phase draws the units anew."""
    mode: Literal["ab", "aa"] = "ab"
    """aa: every arm is answered by the same model, and the expected verdict is that there is no difference."""
    salt: Name = ""
    """Salt of its hashes; name and phase if left out."""
    ranges: tuple[tuple[int, int], ...] = ((0, BUCKETS),)
    """Its buckets of the layer, [first, end) each."""
    ramp: Percent = 100.0
    """Percent of its units that are included, two decimals; growing it never moves a unit out."""
    kill: bool = False
    """Whether every unit is sent to the document's default model."""
    targeting: Mapping[Name, tuple[str | int, ...]] = Field(default_factory=dict)
    """Context field → values of which a request must have one."""
    arms: Annotated[tuple[Arm, ...], Field(min_length=2)]
    """At least two; the first is the control."""
    analysis: Analysis = Analysis()
    """The standard it is judged by."""

    @property
    def control(self) -> Arm:
        """The arm that the others are compared with."""
        return self.arms[0]

    @model_validator(mode="before")
    @classmethod
    def _with_salt(cls, given: Any) -> Any:
        if isinstance(given, dict) and "salt" not in given and isinstance(given.get("name"), str):
            return {**given, "salt": f"{given['name']}.{given.get('phase', 1)}"}
        return given

    @model_validator(mode="after")
    def _checked(self) -> Self:
        total = sum(arm.weight for arm in self.arms)
        if total != BUCKETS:
            raise DocumentError("arms", f"weights that sum to {total}", f"integers that sum to {BUCKETS}")
        _refuse_repeated("arms", [arm.name for arm in self.arms])
        if round(self.ramp, 2) != self.ramp:
            raise DocumentError("ramp", self.ramp, "percent with at most two decimals")
        models = sorted({arm.answered_by for arm in self.arms})
        if self.mode == "aa" and len(models) > 1:
            raise DocumentError("arms", f"models {', '.join(models)}", "one model for every arm, since mode is aa")
        for first, end in self.ranges:
            if not 0 <= first < end <= BUCKETS:
                raise DocumentError("ranges", [first, end], f"[first, end) within 0 to {BUCKETS}")
        return self


class Layer(Part):
    """The buckets that experiments share: a unit is in at most one of them."""

    name: Name = "ranking"
    """Its name."""
    salt: Name = "ranking"
    """Salt of the hash that spreads units over its buckets."""
    holdout: Percent = 0.0
    """Percent of the units that no experiment ever gets, two decimals."""


class Shadow(Part):
    """Scoring by a second model that nobody sees."""

    share: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.0
    """Share of the answered requests."""
    models: tuple[Name, Name] = ("student", "teacher")
    """An answer by one of the two is compared with the other's."""


class Document(Part):
    """Everything that experiments run under."""

    default: Name = "student"
    """The model that answers every unit outside the experiments, and in place of an arm that cannot."""
    layer: Layer = Layer()
    """The buckets the experiments share."""
    experiments: tuple[Experiment, ...] = ()
    """Disjoint in the layer."""
    shadow: Shadow = Shadow()
    """Scoring by a second model."""

    @model_validator(mode="after")
    def _checked(self) -> Self:
        _refuse_repeated("experiments", [experiment.name for experiment in self.experiments])
        _refuse_repeated("salts", [experiment.salt for experiment in self.experiments] + [self.layer.salt])
        owned = sorted((first, end, run.name) for run in self.experiments for first, end in run.ranges)
        for (first, end, name), (next_first, next_end, other) in pairwise(owned):
            if next_first < end:
                got = f"[{first}, {end}) of {name} and [{next_first}, {next_end}) of {other}, which overlap"
                raise DocumentError("experiments.ranges", got, "disjoint ranges")
        return self

    def models(self) -> dict[str, str]:
        """Every model the document names → where it does."""
        named = {self.default: "default"}
        if self.shadow.share:
            named |= dict.fromkeys(self.shadow.models, "shadow.models")
        for i, experiment in enumerate(self.experiments):
            named |= {arm.answered_by: f"experiments.{i}.arms.{j}" for j, arm in enumerate(experiment.arms)}
        return named


def read_toml(text: str) -> Document:
    """The document in `text`; raises DocumentError."""
    try:
        return check(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise DocumentError("document", str(error), "TOML") from None


def read_json(body: bytes) -> Document:
    """The document in `body`; raises DocumentError."""
    try:
        return check(orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise DocumentError("document", str(error), "JSON") from None


def check(decoded: Any) -> Document:
    """A decoded document, whole and consistent in itself; raises DocumentError for its first fault."""
    try:
        return Document.model_validate(decoded)
    except ValidationError as error:
        raise _first_fault(error) from None


def check_models(document: Document, answering: Sequence[str], bundles: Sequence[str]) -> None:
    """Raise DocumentError unless what the document names can answer.

    Args:
        document: consistent in itself.
        answering: names of all models that answer.
        bundles: names of those that this service has as bundles; the default must be one, for it is never far away.
    """
    for model, where in document.models().items():
        if model not in answering:
            raise DocumentError(where, model, f"a model that is served: {', '.join(answering)}")
    if document.default not in bundles:
        raise DocumentError("default", document.default, f"a model with a bundle here: {', '.join(bundles)}")


FROZEN = ("mode", "salt", "ranges", "targeting", "arms", "analysis")
"""What stays as it is within a phase; its ramp and its kill switch alone may be moved."""


def check_change(before: Document, after: Document) -> None:
    """Raise DocumentError if `after` changes within a phase what must not change there."""
    running = {experiment.name: experiment for experiment in before.experiments}
    for i, experiment in enumerate(after.experiments):
        old = running.get(experiment.name)
        if old is None or experiment.phase > old.phase:
            _check_new_salt(f"experiments.{i}.salt", old, experiment)
            continue
        if experiment.phase < old.phase:
            raise DocumentError(f"experiments.{i}.phase", experiment.phase, f"at least {old.phase}, which has run")
        for key in FROZEN:
            if getattr(experiment, key) != getattr(old, key):
                expected = f"what phase {old.phase} began with, or phase = {old.phase + 1}"
                raise DocumentError(f"experiments.{i}.{key}", f"a changed {key}", expected)
        if old.kill and not experiment.kill:
            expected = f"true for the rest of phase {old.phase}, or phase = {old.phase + 1}"
            raise DocumentError(f"experiments.{i}.kill", "false", expected)
    going_on = any(_same(experiment, running) for experiment in after.experiments)
    if before.layer.salt != after.layer.salt and going_on:
        raise DocumentError("layer.salt", after.layer.salt, f"{before.layer.salt} while a phase under it goes on")


def _same(experiment: Experiment, running: Mapping[str, Experiment]) -> bool:
    return experiment.name in running and running[experiment.name].phase == experiment.phase


def _check_new_salt(where: str, old: Experiment | None, new: Experiment) -> None:
    if old is not None and old.salt == new.salt:
        raise DocumentError(where, new.salt, "another salt than the last phase's, so that units are drawn anew")


def _refuse_repeated(where: str, names: Sequence[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DocumentError(where, f"{repeated[0]} twice", "each only once")


def _first_fault(error: ValidationError) -> DocumentError:
    fault = error.errors()[0]
    where = ".".join(map(str, fault["loc"]))
    cause = fault.get("ctx", {}).get("error")
    if isinstance(cause, DocumentError):
        return DocumentError(f"{where}.{cause.field}".strip("."), cause.got, cause.expected)
    expected = re.sub(r"^Input should be ", "", fault["msg"])
    return DocumentError(where or "document", fault["input"], expected)


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
