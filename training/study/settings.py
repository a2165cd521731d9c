"""A study's settings: one TOML for a data set, with what every model, phase and scheme is trained with.

    [study]     name, seeds                            [data]     set and its own options
    [fit]       training on clicks                     [distill]  KD-DAGFM's distillation      [finetune]  after it
    [soft]      ECKD's distillation by soft labels     [ensemble] distilling several of a kind into one
    [models.LABEL]     architecture (`model`, by default the label) and its options
    [fits.LABEL] [distills.LABEL] [finetunes.LABEL] [softs.LABEL] [ensembles.LABEL]     what differs for one model
    [notes.TABLE]      row = "why ours differs from what is published", all = "what is said of the whole table"

Everything in it was chosen on validation; `training/configs/LOG.md` says how.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt
from pydantic import Field as Option

from training.config import ConfigError, Data, DistillOptions, FitOptions, Model, data_of, model_of, nearest, section_of

_OVERRIDES = {"fit": "fits", "distill": "distills", "finetune": "finetunes", "soft": "softs", "ensemble": "ensembles"}
_SECTIONS = ("study", "data", *_OVERRIDES, "models", *_OVERRIDES.values(), "notes")


class StudyOptions(BaseModel):
    """[study]"""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = Option(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Names the study's directory."""
    seeds: tuple[int, ...] = Option(min_length=1)
    """Every row is trained once with each."""
    embedding_size: PositiveInt
    """D of every model that does not say otherwise."""
    best_teacher: str
    """Label of the model that is the one teacher of ECKD's 1T, and stands on partitions in 3T(D) and 6T(D)."""
    best_student: str
    """Label of the student that stands for several of its own kind (table `beyond`)."""
    hint_weight: PositiveFloat
    """β of eq. 9 in ECKD's Table 2."""
    depths: tuple[PositiveInt, ...] = (1, 2, 3, 4, 5, 6)
    """Propagation layers of KD-DAGFM's Figure 4."""
    remark: str = ""
    """What the report says of all rows at once, in Markdown."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A study's settings, checked."""

    where: str
    study: StudyOptions
    data: Data
    models: Mapping[str, Model]
    phases: Mapping[str, Mapping[str, Any]]
    """[fit], [distill], [finetune], [soft] and [ensemble] as they stand."""
    overrides: Mapping[str, Mapping[str, Mapping[str, Any]]]
    """Phase → label → keys that differ."""
    notes: Mapping[str, Mapping[str, str]]
    """Table → row → what the report says of it; the row `all` is the whole table."""

    def model(self, label: str, **changes: Any) -> Model:
        """The architecture of a label, some of its options changed; raises ConfigError naming the nearest label."""
        if label not in self.models:
            raise ConfigError(f"{self.where}: [models.{label}] is missing{nearest(label, tuple(self.models))}")
        model = self.models[label]
        options = {**model.options.model_dump(exclude_none=True), **changes}
        return model_of({"model": model.name, **options}, self.where, f"models.{label}")

    def with_seeds(self, count: int) -> Settings:
        """The same with the first `count` seeds alone."""
        return replace(self, study=self.study.model_copy(update={"seeds": self.study.seeds[:count]}))

    def fit(self, label: str, **changes: Any) -> FitOptions:
        """How a model is trained on clicks."""
        return self._phase("fit", label, FitOptions, changes)

    def finetune(self, label: str, **changes: Any) -> FitOptions:
        """How a distilled model is trained on clicks."""
        return self._phase("finetune", label, FitOptions, changes)

    def distill(self, label: str, **changes: Any) -> DistillOptions:
        """How KD-DAGFM distils into a model."""
        return self._phase("distill", label, DistillOptions, changes)

    def soft(self, label: str, **changes: Any) -> DistillOptions:
        """How ECKD distils into a model."""
        return self._phase("soft", label, DistillOptions, changes)

    def ensemble(self, label: str, **changes: Any) -> DistillOptions:
        """How several teachers of a model's own kind are distilled into it."""
        return self._phase("ensemble", label, DistillOptions, changes)

    def _phase(self, phase: str, label: str, cls: type[_Fit], changes: Mapping[str, Any]) -> _Fit:
        merged = {**self.phases[phase], **self.overrides[phase].get(label, {}), **changes}
        return section_of(cls, merged, self.where, f"{_OVERRIDES[phase]}.{label}")


_Fit = TypeVar("_Fit", bound=FitOptions)


def load_settings(path: Path) -> Settings:
    """The settings in a TOML file; raises ConfigError naming file, section, key and the nearest valid one."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: not found; expected the TOML of a study") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    return settings_of(raw, str(path))


def settings_of(raw: Mapping[str, Any], where: str) -> Settings:
    """The settings in nested tables; `where` names them in errors."""
    for section in raw:
        if section not in _SECTIONS:
            raise ConfigError(f"{where}: section [{section}] is unknown{nearest(section, _SECTIONS)}")
    for section in ("study", "data", "fit", "models"):
        if not isinstance(raw.get(section), dict):
            raise ConfigError(f"{where}: section [{section}] is missing; expected a table")
    study = section_of(StudyOptions, raw["study"], where, "study")
    models = {
        label: model_of({"model": label, "embedding_size": study.embedding_size, **options}, where, f"models.{label}")
        for label, options in raw["models"].items()
    }
    notes = raw.get("notes", {})
    for table, told in notes.items():
        if not isinstance(told, dict) or not all(isinstance(text, str) for text in told.values()):
            raise ConfigError(f"{where}: [notes] {table}: expected a table [notes.{table}] with a text for each row")
    settings = Settings(
        where=where,
        study=study,
        data=data_of(raw["data"], where),
        models=models,
        phases={phase: raw.get(phase, {}) for phase in _OVERRIDES},
        overrides={phase: raw.get(section, {}) for phase, section in _OVERRIDES.items()},
        notes=notes,
    )
    _check(settings)
    return settings


def _check(settings: Settings) -> None:
    """Every label an override names is a model's, and every model can be trained with what is there."""
    for phase, labels in settings.overrides.items():
        for label in labels:
            if label not in settings.models:
                where = f"{settings.where}: [{_OVERRIDES[phase]}.{label}]"
                raise ConfigError(f"{where}: there is no [models.{label}]{nearest(label, tuple(settings.models))}")
    for label in settings.models:
        settings.fit(label)
