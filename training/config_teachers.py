"""[teacher] and [[teachers]]: what a run's student learns from.

    [teacher]              one model that the run trains; its folder is teach/

    [[teachers]]           any number, each with a name; folders are teach-NAME/
    name = "…"
    model = "…"            trained by the run: the model's own options stand beside it, and seed, partition = [i, k];
                           [teachers.teach] holds what differs from [teach]
    run = "…"              or: what another run on the same data taught, its folder; phase = "teach"
    bundle = "…"           or: a bundle
    onnx = "…"             or: an ONNX file; output = "logits" or "probabilities"
    column = "…"           or: a column of logits that came with the data

Paths are relative to where the command is run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic import Field as Option

from training.data.folds import Fold
from training.models.base import ModelOptions
from training.models.registry import model_class
from training.options import FitOptions
from training.sections import ConfigError, section_of


@dataclass(frozen=True, kw_only=True)
class Model:
    """[teacher] or [student]: a registered name and that model's options."""

    name: str
    options: ModelOptions


class _Source(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = Option(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Names the teacher's folder and its weight in the metrics."""


class OwnSource(_Source):
    """Trained by the run."""

    seed: int | None = Option(default=None, ge=0, lt=2**31)
    """Seeds initialisation and the order of batches. Left out: the run's seed plus the teacher's position."""
    partition: tuple[int, int] | None = None
    """[i, k]: training and validation rows are dealt to k folds, the i-th (from 0) is its validation."""


class RunSource(_Source):
    """What another run on the same data trained."""

    run: Path
    """The other run's folder."""
    phase: str = "teach"
    """Whose model: teach, teach-NAME, distill or finetune."""


class BundleSource(_Source):
    """A bundle's model."""

    bundle: Path
    """The bundle's folder, or a root of versions."""


class OnnxSource(_Source):
    """A model of another program."""

    onnx: Path
    """The ONNX file."""
    output: Literal["logits", "probabilities"]
    """What its output is: logits, or probabilities strictly between 0 and 1."""


class ColumnSource(_Source):
    """What a model said of the rows, in the data themselves."""

    column: str
    """The column's name as teacher in the data's schema."""


FOLD_SEED = 0
"""Deals rows to folds: the same in every run, so that teachers of several runs can be of one partition."""

Source = OwnSource | RunSource | BundleSource | OnnxSource | ColumnSource

_KINDS: Mapping[str, type[_Source]] = {
    "model": OwnSource,
    "run": RunSource,
    "bundle": BundleSource,
    "onnx": OnnxSource,
    "column": ColumnSource,
}


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    """One teacher of a run.

    Attributes:
        source: where it comes from.
        model: what it is, if the run trains it.
        teach: how the run trains it, if it does so before the student.
    """

    source: Source
    model: Model | None = None
    teach: FitOptions | None = None

    @property
    def name(self) -> str:
        """Its name in metrics and folders."""
        return self.source.name

    @property
    def fold(self) -> Fold | None:
        """The rows it is not trained on, where that is a fold; all folds of a run are dealt alike."""
        if not isinstance(self.source, OwnSource) or self.source.partition is None:
            return None
        index, folds = self.source.partition
        return Fold(index=index, folds=folds, seed=FOLD_SEED)

    def to_dict(self) -> dict[str, Any]:
        """As a table of [[teachers]]."""
        plain: dict[str, Any] = self.source.model_dump(mode="json", exclude_none=True)
        if self.model is not None:
            plain |= {"model": self.model.name, **self.model.options.model_dump(exclude_none=True)}
        if self.teach is not None:
            plain["teach"] = self.teach.model_dump(exclude_none=True)
        return plain


def model_of(raw: Mapping[str, Any], where: str, section: str) -> Model:
    """A model's section, checked by the architecture it names."""
    options = dict(raw)
    try:
        cls = model_class(str(options.pop("model", "")))
    except ValueError as error:
        raise ConfigError(f"{where}: [{section}] {error}") from error
    return Model(name=cls.name, options=section_of(cls.Options, options, where, section))


def single_teacher(raw: Mapping[str, Any], teach: FitOptions | None, seed: int, where: str) -> TeacherConfig:
    """The teacher of a [teacher] section."""
    source = OwnSource(name="teacher", seed=seed)
    return TeacherConfig(source=source, model=model_of(raw, where, "teacher"), teach=teach)


def many_teachers(
    raws: Sequence[Any], teach: Mapping[str, Any] | None, seed: int, where: str
) -> tuple[TeacherConfig, ...]:
    """The teachers of [[teachers]] sections; `teach` is [teach] as it stands, `seed` the run's."""
    found: dict[str, TeacherConfig] = {}
    for position, raw in enumerate(raws):
        section = f"teachers.{raw.get('name', position) if isinstance(raw, Mapping) else position}"
        if not isinstance(raw, Mapping):
            raise ConfigError(f"{where}: [{section}] is {raw!r}; expected a table [[teachers]]")
        teacher = _teacher(raw, teach, seed + position, where, section)
        if teacher.name in found:
            raise ConfigError(f"{where}: [{section}] stands twice; give each of [[teachers]] a name of its own")
        found[teacher.name] = teacher
    if not found:
        raise ConfigError(f"{where}: [[teachers]] is empty; expected at least one")
    return tuple(found.values())


def _teacher(
    raw: Mapping[str, Any], teach: Mapping[str, Any] | None, seed: int, where: str, section: str
) -> TeacherConfig:
    kinds = [kind for kind in _KINDS if kind in raw]
    if len(kinds) != 1:
        raise ConfigError(f"{where}: [{section}] has {kinds or list(raw)}; expected exactly one of {list(_KINDS)}")
    cls = _KINDS[kinds[0]]
    if cls is not OwnSource:
        return TeacherConfig(source=_as_source(cls, raw, where, section))
    options = dict(raw)
    own = {key: options.pop(key) for key in OwnSource.model_fields if key in options}
    changes = options.pop("teach", {})
    source = _as_source(cls, {"seed": seed, **own}, where, section)
    fit = None
    if teach is not None or changes:
        fit = section_of(FitOptions, {**(teach or {}), **changes}, where, f"{section}.teach")
    return TeacherConfig(source=source, model=model_of(options, where, section), teach=fit)


def _as_source(cls: type[_Source], raw: Mapping[str, Any], where: str, section: str) -> Source:
    source = section_of(cls, raw, where, section)
    if isinstance(source, OwnSource) and source.partition is not None:
        index, folds = source.partition
        if not 0 <= index < folds or folds < 2:  # noqa: PLR2004 - a fold and its rest
            raise ConfigError(
                f"{where}: [{section}] partition is {[index, folds]}; expected [i, k] with 0 ≤ i < k, k ≥ 2"
            )
    if not isinstance(source, Source):
        raise TypeError(f"{cls.__name__} is no source")
    return source
