"""Which serving forms a model has, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from torch import nn

from export.forms.full_rows import FullRows
from export.forms.messages import Messages, own_way, ways
from export.forms.once import context_once
from export.forms.student import ContextOnce, FoldedRows
from export.forms.student_plus import PlusOnce, PlusRows
from training.models.base import CTRModel
from training.models.dag import DAGModel
from training.models.dagfm import DAGFM
from training.models.dagfm_plus import DAGFMPlus

Student = TypeVar("Student", bound=DAGModel)


def serving_forms(model: CTRModel, context_fields: int) -> Mapping[str, nn.Module]:
    """Every exact serving form of a model, by name; `full_rows` is always there and is the reference."""
    forms: dict[str, nn.Module] = {"full_rows": FullRows(model)}
    if isinstance(model, DAGFM):
        forms |= _student_forms(model, context_fields, FoldedRows, ContextOnce)
    elif isinstance(model, DAGFMPlus):
        forms |= _student_forms(model, context_fields, PlusRows, PlusOnce)
    elif context_fields > 0:
        once = context_once(model, context_fields)
        forms |= {} if once is None else {"context_once": once}
    return {name: form.eval() for name, form in forms.items()}


def _student_forms(
    model: Student,
    context_fields: int,
    rows: Callable[[Student, type[Messages]], nn.Module],
    once: Callable[[Student, int, type[Messages]], nn.Module],
) -> dict[str, nn.Module]:
    """Whole rows in the layer's own way; the context once in every way, where the context is free of candidates."""
    own, found = own_way(model.propagations[0]), ways(model.propagations[0])
    forms = {f"folded_rows_{own}": rows(model, found[own])}
    if model.connect != "dense" and context_fields > 0:
        forms |= {f"context_once_{name}": once(model, context_fields, way) for name, way in found.items()}
    return forms
