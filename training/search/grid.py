"""A grid: for some keys of a configuration, the values to try; its points are all combinations.

    --set finetune.learning_rate=1e-3,2e-3        or, in a TOML file,   [finetune]
                                                                        learning_rate = [1e-3, 2e-3]

Keys joined by + take the same value together, as "teacher.embedding_size+student.embedding_size" must. Every point is
checked as a configuration before anything is trained. Price of a grid: its size is the product of its axes; it is for
a handful of points, not for a space.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from training.config import Config, ConfigError, from_dict, nearest

Value = Any
"""A TOML value: number, word, list, boolean."""


@dataclass(frozen=True)
class Axis:
    """One dimension of a grid.

    Attributes:
        keys: `section.key` of the configuration; several take the same value.
        values: to be tried, each once.
    """

    keys: tuple[str, ...]
    values: tuple[Value, ...]

    @property
    def name(self) -> str:
        """As it is written."""
        return "+".join(self.keys)


def axes_of(grid: Path | None, settings: Iterable[str]) -> tuple[Axis, ...]:
    """The axes of a grid file and of `--set KEY=VALUE,…`; raises ConfigError."""
    axes = [*_of_file(grid), *(_of_words(words) for words in settings)]
    if not axes:
        raise ConfigError("nothing to search: give --grid GRID.toml or --set section.key=value,value")
    names = [key for axis in axes for key in axis.keys]
    for axis in axes:
        _check(axis, names)
    return tuple(axes)


def points_of(base: Config, axes: Iterable[Axis]) -> Iterator[tuple[dict[str, Value], Config]]:
    """What is set and the configuration it gives, for every combination, the last axis fastest; raises ConfigError."""
    axes = tuple(axes)
    for values in product(*(axis.values for axis in axes)):
        chosen = {axis.name: value for axis, value in zip(axes, values, strict=True)}
        raw = copy.deepcopy(base.to_dict())
        for axis, value in zip(axes, values, strict=True):
            for key in axis.keys:
                _set(raw, key, value)
        yield chosen, from_dict(raw, f"grid point {spelt(chosen)}")


def spelt(chosen: Mapping[str, Value]) -> str:
    """What a point sets, in words."""
    return ", ".join(f"{name}={value}" for name, value in chosen.items())


def _set(raw: dict[str, Any], key: str, value: Value) -> None:
    section, _, name = key.partition(".")
    if section not in raw:
        raise ConfigError(f"grid: section of {key!r} is unknown{nearest(section, tuple(raw))}")
    if not isinstance(raw[section], dict):
        raise ConfigError(f"grid: {key!r} is of a section that stands several times; expected one of a single table")
    raw[section][name] = value


def _of_file(path: Path | None) -> Iterator[Axis]:
    if path is None:
        return
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: not found; expected a TOML file of lists, one per key of the grid") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    for section, keys in raw.items():
        if isinstance(keys, list):
            yield Axis(_keys(section, str(path)), tuple(keys))
            continue
        for key, values in keys.items() if isinstance(keys, dict) else ((section, keys),):
            if not isinstance(values, list):
                raise ConfigError(f"{path}: [{section}] {key} is {values!r}, expected a list of values to try")
            yield Axis(_keys(f"{section}.{key}", str(path)), tuple(values))


def _of_words(words: str) -> Axis:
    """KEY=VALUE,VALUE: values as in TOML; what is no TOML is a word."""
    keys, equals, values = words.partition("=")
    if not equals:
        raise ConfigError(f"--set {words}: expected section.key=value,value")
    try:
        parsed = tomllib.loads(f"values = [{values}]")["values"]
    except tomllib.TOMLDecodeError:
        parsed = [_value(word.strip()) for word in values.split(",")]
    return Axis(_keys(keys, f"--set {words}"), tuple(parsed))


def _value(word: str) -> Value:
    try:
        return tomllib.loads(f"value = {word}")["value"]
    except tomllib.TOMLDecodeError:
        return word


def _keys(text: str, where: str) -> tuple[str, ...]:
    keys = tuple(key.strip() for key in text.split("+"))
    for key in keys:
        if key.count(".") != 1:
            raise ConfigError(f"{where}: got {key!r}, expected section.key, as finetune.learning_rate")
    return keys


def _check(axis: Axis, names: list[str]) -> None:
    if not axis.values or "" in axis.values:
        raise ConfigError(f"grid: {axis.name} has no values, or an empty one; expected one or more")
    for key in axis.keys:
        if key in {"run.name", "run.threads"}:
            raise ConfigError(f"grid: {key} is no setting to try: points have names of their own, and one thread each")
        if names.count(key) > 1:
            raise ConfigError(f"grid: {key} is given more than once; expected one list of all its values")
    if any(axis.values.count(value) > 1 for value in axis.values):
        raise ConfigError(f"grid: {axis.name} has a value twice in {list(axis.values)}; expected each once")
