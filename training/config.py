"""One TOML per run: sections become frozen, complete, typed options; anything unknown, missing or out of range is loud.

    [run]      name, seed                       [teacher] [student]   model and its own options
    [data]     set and its own options          [teach] [distill] [finetune]   how each phase trains

[[teachers]] stands in the place of [teacher] where there are several, or one from elsewhere (config_teachers.py).

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

from training.config_teachers import Model, TeacherConfig, many_teachers, model_of, single_teacher
from training.data.datasets import DATA_SETS
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
    "TeacherConfig",
    "data_of",
    "from_dict",
    "load",
    "model_of",
    "nearest",
    "section_of",
]


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
    teachers: tuple[TeacherConfig, ...]
    ensemble: bool
    """Whether they were given as [[teachers]], each with a name, or as one [teacher]."""
    student: Model
    teach: FitOptions | None
    """None where no teacher needs it."""
    distill: DistillOptions
    finetune: FitOptions | None
    """None where the run ends with the distilled student."""

    def to_dict(self) -> dict[str, Any]:
        """The resolved configuration, every default written out; `load` reads it back."""
        phases = {"teach": self.teach, "distill": self.distill, "finetune": self.finetune}
        plain = {key: options.model_dump(exclude_none=True) for key, options in phases.items() if options is not None}
        data = {"set": self.data.name, **self.data.options.model_dump(exclude_none=True)}
        given = [teacher.to_dict() for teacher in self.teachers]
        taught = {"teachers": given} if self.ensemble else {"teacher": _plain(self.teachers[0].model)}
        run = self.run.model_dump(exclude_none=True)
        return {"run": run, "data": data, **taught, "student": _plain(self.student), **plain}

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
    known = ("run", "data", "teacher", "teachers", "student", "teach", "distill", "finetune")
    for section in raw:
        if section not in known:
            raise ConfigError(f"{where}: section [{section}] is unknown{nearest(section, known)}")
    run = section_of(RunOptions, _table(raw, "run", where), where, "run")
    distill = section_of(DistillOptions, _table(raw, "distill", where), where, "distill")
    config = Config(
        run=run,
        data=data_of(_table(raw, "data", where), where),
        teachers=_teachers(raw, run, distill, where),
        ensemble="teachers" in raw,
        student=model_of(_table(raw, "student", where), where, "student"),
        teach=section_of(FitOptions, _table(raw, "teach", where), where, "teach") if "teach" in raw else None,
        distill=distill,
        finetune=_finetune(raw, run, distill, where),
    )
    _check_embeddings(config, where)
    return config


def _table(raw: Mapping[str, Any], section: str, where: str) -> Mapping[str, Any]:
    table = raw.get(section)
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: section [{section}] is missing; expected a table of that name")
    return table


def _plain(model: Model | None) -> dict[str, Any]:
    return {} if model is None else {"model": model.name, **model.options.model_dump(exclude_none=True)}


def _teachers(
    raw: Mapping[str, Any], run: RunOptions, distill: DistillOptions, where: str
) -> tuple[TeacherConfig, ...]:
    if ("teacher" in raw) == ("teachers" in raw):
        count = "both stand there" if "teacher" in raw else "section [teacher] is missing"
        raise ConfigError(f"{where}: {count}; expected either [teacher] or one [[teachers]] for each")
    teach = _table(raw, "teach", where) if "teach" in raw else None
    if "teachers" in raw:
        if not isinstance(raw["teachers"], list):
            raise ConfigError(f"{where}: [teachers] is one table; expected [[teachers]], one for each")
        teachers = many_teachers(raw["teachers"], teach, run.seed, where)
    else:
        fit = None if teach is None else section_of(FitOptions, teach, where, "teach")
        teachers = (single_teacher(_table(raw, "teacher", where), fit, run.seed, where),)
    for teacher in teachers:
        if distill.scheme == "pre_train" and teacher.model is not None and teacher.teach is None:
            raise ConfigError(f"{where}: section [teach] is missing; teacher {teacher.name!r} is trained by this run")
        if distill.scheme == "co_train" and (teacher.model is None or teacher.fold is not None):
            raise ConfigError(
                f"{where}: [distill] scheme is 'co_train', but teacher {teacher.name!r} does not learn along: it comes "
                "from elsewhere or has a partition; expected models without, or scheme 'pre_train'"
            )
    if distill.teacher_weights and len(distill.teacher_weights) != len(teachers):
        raise ConfigError(
            f"{where}: [distill] teacher_weights has {len(distill.teacher_weights)} numbers for {len(teachers)} "
            "teachers; expected one for each, in their order"
        )
    return teachers


def _finetune(raw: Mapping[str, Any], run: RunOptions, distill: DistillOptions, where: str) -> FitOptions | None:
    if not run.finetune:
        if "finetune" in raw:
            raise ConfigError(f"{where}: [run] finetune is false, but section [finetune] stands there; remove one")
        return None
    if "finetune" not in raw:
        raise ConfigError(f"{where}: section [finetune] is missing; write it, or set [run] finetune = false")
    if distill.train_on_validation:
        raise ConfigError(
            f"{where}: [distill] train_on_validation is true, but [finetune] would select on those rows; set [run] "
            "finetune = false and remove [finetune]"
        )
    return section_of(FitOptions, _table(raw, "finetune", where), where, "finetune")


def _check_embeddings(config: Config, where: str) -> None:
    first = config.teachers[0]
    if first.model is None or config.distill.embeddings == "own":
        return
    section = f"teachers.{first.name}" if config.ensemble else "teacher"
    sizes = first.model.options.embedding_size, config.student.options.embedding_size
    if sizes[0] != sizes[1]:
        raise ConfigError(
            f"{where}: [student] embedding_size is {sizes[1]}, [{section}] embedding_size is {sizes[0]}; they must be "
            "equal, because the student is distilled on the teacher's embeddings; or set [distill] embeddings = 'own'"
        )


def data_of(raw: Mapping[str, Any], where: str) -> Data:
    """A [data] section, checked by the data set it names."""
    options = dict(raw)
    name = options.pop("set", None)
    if name not in DATA_SETS:
        raise ConfigError(f"{where}: [data] set is {name!r}, expected one of {sorted(DATA_SETS)}")
    return Data(name=name, options=section_of(DATA_SETS[name].options, options, where, "data"))
