"""One TOML per run: sections become frozen, complete, typed options; anything unknown, missing or out of range is loud.

    [run]      name, seed                       [teacher] [student]   model and its own options
    [data]     set and its own options          [teach] [distill] [finetune]   how each phase trains

An error names file, section, key, what was got, what is expected and the nearest valid key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel

from training.data.datasets import DATA_SETS
from training.models.base import ModelOptions
from training.models.registry import model_class
from training.options import DistillOptions, FitOptions, RunOptions
from training.sections import ConfigError, nearest, section_of

__all__ = [
    "Config",
    "ConfigError",
    "Data",
    "DistillOptions",
    "FitOptions",
    "Model",
    "RunOptions",
    "data_of",
    "from_dict",
    "load",
    "model_of",
    "nearest",
    "section_of",
]


@dataclass(frozen=True, kw_only=True)
class Model:
    """[teacher] or [student]: a registered name and that model's options."""

    name: str
    options: ModelOptions


@dataclass(frozen=True, kw_only=True)
class Data:
    """[data]: a data set's name and that set's options."""

    name: str
    options: BaseModel


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything a run depends on."""

    run: RunOptions
    data: Data
    teacher: Model
    student: Model
    teach: FitOptions
    distill: DistillOptions
    finetune: FitOptions

    def to_dict(self) -> dict[str, Any]:
        """The resolved configuration, every default written out; `load` reads it back."""
        plain = {
            key: getattr(self, key).model_dump(exclude_none=True) for key in ("run", "teach", "distill", "finetune")
        }
        models = {
            key: {"model": model.name, **model.options.model_dump(exclude_none=True)}
            for key, model in (("teacher", self.teacher), ("student", self.student))
        }
        data = {"set": self.data.name, **self.data.options.model_dump(exclude_none=True)}
        return {"run": plain.pop("run"), "data": data, **models, **plain}

    def to_toml(self) -> str:
        """`to_dict` as TOML."""
        return tomli_w.dumps(self.to_dict())


def load(path: Path) -> Config:
    """The configuration in a TOML file; raises ConfigError."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        known = sorted(str(found) for found in Path(__file__).parent.glob("configs/*.toml"))
        raise ConfigError(f"{path}: not found; configurations that come with the project: {known}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path}: not readable: {error.strerror}; expected a TOML file") from error
    return from_dict(raw, str(path))


def from_dict(raw: Mapping[str, Any], where: str) -> Config:
    """The configuration in nested tables; `where` names them in errors."""
    sections = ("run", "data", "teacher", "student", "teach", "distill", "finetune")
    for section in raw:
        if section not in sections:
            raise ConfigError(f"{where}: section [{section}] is unknown{nearest(section, sections)}")
    for section in sections:
        if not isinstance(raw.get(section), dict):
            raise ConfigError(f"{where}: section [{section}] is missing; expected {list(sections)}")
    config = Config(
        run=section_of(RunOptions, raw["run"], where, "run"),
        data=data_of(raw["data"], where),
        teacher=model_of(raw["teacher"], where, "teacher"),
        student=model_of(raw["student"], where, "student"),
        teach=section_of(FitOptions, raw["teach"], where, "teach"),
        distill=section_of(DistillOptions, raw["distill"], where, "distill"),
        finetune=section_of(FitOptions, raw["finetune"], where, "finetune"),
    )
    sizes = config.teacher.options.embedding_size, config.student.options.embedding_size
    if sizes[0] != sizes[1] and config.distill.embeddings != "own":
        raise ConfigError(
            f"{where}: [student] embedding_size is {sizes[1]}, [teacher] embedding_size is {sizes[0]}; "
            "they must be equal, because the student is distilled on the teacher's embeddings; or set [distill] "
            "embeddings = 'own'"
        )
    return config


def data_of(raw: Mapping[str, Any], where: str) -> Data:
    """A [data] section, checked by the data set it names."""
    options = dict(raw)
    name = options.pop("set", None)
    if name not in DATA_SETS:
        raise ConfigError(f"{where}: [data] set is {name!r}, expected one of {sorted(DATA_SETS)}")
    return Data(name=name, options=section_of(DATA_SETS[name].options, options, where, "data"))


def model_of(raw: Mapping[str, Any], where: str, section: str) -> Model:
    """A model's section, checked by the architecture it names."""
    options = dict(raw)
    try:
        cls = model_class(str(options.pop("model", "")))
    except ValueError as error:
        raise ConfigError(f"{where}: [{section}] {error}") from error
    return Model(name=cls.name, options=section_of(cls.Options, options, where, section))
