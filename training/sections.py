"""Sections: a table of a TOML file as typed options. Errors name file, section, key, what was got, what is expected."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo


class ConfigError(ValueError):
    """A run's configuration cannot be used; the message says where and what to write instead."""


_Section = TypeVar("_Section", bound=BaseModel)


def section_of(cls: type[_Section], raw: Mapping[str, Any], where: str, section: str) -> _Section:
    """A section as typed options; raises ConfigError naming where, section, key, and the nearest valid key."""
    try:
        return cls(**raw)
    except ValidationError as error:
        # A misspelt key is both unknown and missing: what was written says more than what was not.
        problem = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        key = ".".join(map(str, problem["loc"]))
        described = _described(cls, problem["loc"][:-1])
        message = f"{key} is {problem['input']!r}: {problem['msg']}"
        if problem["type"] == "extra_forbidden":
            message = f"key {key!r} is unknown{nearest(str(problem['loc'][-1]), described)}"
        elif problem["type"] == "missing":
            message = f"key {key!r} is missing; it is {described[str(problem['loc'][-1])].description}"
        elif not key:  # two keys that do not go together
            message = problem["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{where}: [{section}] {message}") from error


def _described(cls: type[BaseModel], path: tuple[int | str, ...]) -> Mapping[str, FieldInfo]:
    """The keys of the section that `path` leads to, from key to key and through lists and tables of sections."""
    for step in path:
        if step in cls.model_fields:
            cls = next(kind for kind in _parts(cls.model_fields[str(step)].annotation) if issubclass(kind, BaseModel))
    return cls.model_fields


def _parts(annotation: Any) -> Iterator[type]:
    """The types that an annotation is made of."""
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def nearest(key: str, valid: Mapping[str, Any] | tuple[str, ...]) -> str:
    """The end of an error's message: what was probably meant, and everything valid."""
    close = difflib.get_close_matches(key, list(valid), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{hint} Valid: {sorted(valid)}"
