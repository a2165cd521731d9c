"""Which serving forms a model has, by name."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from export.forms.full_rows import FullRows
from export.forms.messages import own_way, ways
from export.forms.student import ContextOnce, FoldedRows
from training.models.base import CTRModel
from training.models.dagfm import DAGFM


def serving_forms(model: CTRModel, context_fields: int) -> Mapping[str, nn.Module]:
    """Every exact serving form of a model, by name; `full_rows` is always there and is the reference."""
    forms: dict[str, nn.Module] = {"full_rows": FullRows(model)}
    if isinstance(model, DAGFM):
        forms |= _student_forms(model, context_fields)
    return {name: form.eval() for name, form in forms.items()}


def _student_forms(model: DAGFM, context_fields: int) -> dict[str, nn.Module]:
    """Whole rows in the layer's own way; the context once in every way, where the context is free of candidates."""
    if type(model).interact is not DAGFM.interact:
        return {}
    own, found = own_way(model.propagations[0]), ways(model.propagations[0])
    forms: dict[str, nn.Module] = {f"folded_rows_{own}": FoldedRows(model, found[own])}
    if model.connect != "dense" and context_fields > 0:
        forms |= {f"context_once_{name}": ContextOnce(model, context_fields, way) for name, way in found.items()}
    return forms
