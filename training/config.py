"""One TOML per run: sections become frozen, complete, typed options; anything unknown, missing or out of range is loud.

    [run]      name, seed                       [teacher] [student]   model and its own options
    [data]     set and its own options          [teach] [distill] [finetune]   how each phase trains

An error names file, section, key, what was got, what is expected and the nearest valid key.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic import Field as Option

from training.data.datasets import DATA_SETS
from training.models.base import ModelOptions
from training.models.registry import model_class


class ConfigError(ValueError):
    """A run's configuration cannot be used; the message says where and what to write instead."""


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class RunOptions(_Options):
    """[run]"""

    name: str = Option(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Names the run's directory and the bundles made from it."""
    seed: int = Option(ge=0, lt=2**31)
    """Seeds initialisation and the order of batches; the split has the data set's own seed."""
    threads: int = Option(default=1, ge=1)
    """Threads of torch. Part of a run because sums in another order give other last digits: with the number fixed, a
    run gives the same figures on any number of cores."""


class FitOptions(_Options):
    """[teach] and [finetune]: training on clicks alone."""

    learning_rate: float = Option(gt=0)
    """Adam's step size."""
    weight_decay: float = Option(ge=0)
    """L2 term in Adam's gradient, on every parameter."""
    embedding_weight_decay: float | None = Option(default=None, ge=0)
    """The same for embedding tables, where it is to be another. Left out: weight_decay."""
    batch_size: int = Option(ge=1)
    """Rows per step."""
    max_epochs: int = Option(ge=1)
    """Stop after this many passes over the training rows in any case."""
    decay: Literal["none", "linear"] = "none"
    """`linear`: the step size falls to zero over max_epochs; `none`: it stays."""
    patience: int = Option(ge=1)
    """Stop after this many epochs without a better validation metric."""
    average: float = Option(default=0.0, ge=0, lt=1)
    """Decay of a moving average of the weights, per step; the average is what is validated and kept. 0: none."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Number format of the matrix products in training. bfloat16 is several times faster on CPUs that multiply it in
    hardware, slower on others, and changes the last digits of every figure. Weights, sums and losses stay float32."""
    max_steps_per_epoch: int | None = Option(default=None, ge=1)
    """Cut an epoch short; for trials of the path, not for results."""


class DistillOptions(FitOptions):
    """[distill]: training on the teacher's logits and clicks."""

    click_weight: float = Option(ge=0)
    """Multiplies the click loss."""
    logit_weight: float = Option(ge=0)
    """Multiplies the mean squared gap between teacher and student logits."""
    select: Literal["auc", "logit_gap"] = "auc"
    """Validation metric that decides which epoch is kept: AUC on clicks, or the squared gap to the teacher."""


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
    if sizes[0] != sizes[1]:
        raise ConfigError(
            f"{where}: [student] embedding_size is {sizes[1]}, [teacher] embedding_size is {sizes[0]}; "
            "they must be equal, because the student is distilled on the teacher's embeddings"
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


_Section = TypeVar("_Section", bound=BaseModel)


def section_of(cls: type[_Section], raw: Mapping[str, Any], where: str, section: str) -> _Section:
    """A section as typed options; raises ConfigError naming where, section, key, and the nearest valid key."""
    try:
        return cls(**raw)
    except ValidationError as error:
        # A misspelt key is both unknown and missing: what was written says more than what was not.
        problem = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        key = ".".join(map(str, problem["loc"]))
        if problem["type"] == "extra_forbidden":
            message = f"key {key!r} is unknown{nearest(key, cls.model_fields)}"
        elif problem["type"] == "missing":
            message = f"key {key!r} is missing; it is {cls.model_fields[key].description}"
        else:
            message = f"{key} is {problem['input']!r}: {problem['msg']}"
        raise ConfigError(f"{where}: [{section}] {message}") from error


def nearest(key: str, valid: Mapping[str, Any] | tuple[str, ...]) -> str:
    """The end of an error's message: what was probably meant, and everything valid."""
    close = difflib.get_close_matches(key, list(valid), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{hint} Valid: {sorted(valid)}"
