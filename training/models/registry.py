"""Models by name. A new model is one new file here with `@register`: it is found, tested, exported and served."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from training.models.base import CTRModel

Model = TypeVar("Model", bound=type[CTRModel])

_MODELS: dict[str, type[CTRModel]] = {}


def register(name: str) -> Callable[[Model], Model]:
    """Make a model known as `name`; a name twice is our own mistake and fails at import."""

    def remember(model: Model) -> Model:
        if name in _MODELS:
            raise RuntimeError(f"model {name!r} is registered twice: {_MODELS[name].__module__}, {model.__module__}")
        model.name = name
        _MODELS[name] = model
        return model

    return remember


def names() -> list[str]:
    """Every registered name, sorted."""
    _discover()
    return sorted(_MODELS)


def model_class(name: str) -> type[CTRModel]:
    """The class registered as `name`; raises ValueError naming the nearest known name."""
    if name not in names():
        nearest = difflib.get_close_matches(name, names(), n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(f"model {name!r} is unknown, expected one of {names()}{hint}")
    return _MODELS[name]


def build(name: str, options: Mapping[str, Any], sizes: Sequence[int]) -> CTRModel:
    """A freshly initialised model for fields of these sizes; options are checked by the model's own class."""
    cls = model_class(name)
    return cls(sizes, cls.Options(**options))


def example_options(name: str) -> dict[str, Any]:
    """Options of a small model that has every part of the architecture: the first example each option gives."""
    fields = model_class(name).Options.model_fields
    return {key: field.examples[0] for key, field in fields.items() if field.examples}


@cache
def _discover() -> None:
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"training.models.{module.name}")
