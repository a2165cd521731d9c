"""The context once, model by model: what is made of which parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from export.forms.cin import CINContextOnce, CINOnce
from export.forms.crossnet import CrossOnce
from export.forms.field_aware import FieldAwareOnce
from export.forms.mlp import MLPOnce
from export.forms.pairs import FMOnce, PairMatricesOnce, PairWeightsOnce
from export.forms.sums import SumOnce
from export.forms.vector_cross import VectorCrossOnce
from training.models.base import CTRModel
from training.models.cin import CIN
from training.models.crossnet import CrossNet
from training.models.dcn import DCN
from training.models.dcnv2 import DCNv2
from training.models.deepfm import DeepFM
from training.models.dnn import DNN
from training.models.ffm import FFM
from training.models.fm import FM
from training.models.fmfm import FmFM
from training.models.fwfm import FwFM
from training.models.wide_deep import WideDeep
from training.models.xdeepfm import XDeepFM


def context_once(model: CTRModel, context_fields: int) -> nn.Module | None:
    """The form of this model that computes its context once; None where it has none.

    Args:
        model: of any class but the students', which have several ways.
        context_fields: Fc ≥ 1.
    """
    build = _FORMS.get(type(model))
    return None if build is None else build(model, context_fields)


def _width(model: CTRModel, context_fields: int) -> int:
    """Xc."""
    return context_fields * model.embedding.dimension


def _cross_net(model: CrossNet, context_fields: int) -> nn.Module | None:
    if len(model.layers) == 1:
        return None  # it would be both the first and the folded one
    cross = CrossOnce(model.layers, model.readout, _width(model, context_fields))
    return SumOnce(model, context_fields, [cross], bias=model.readout.bias)


def _cin(model: CIN, context_fields: int) -> nn.Module | None:
    return None if len(model.interaction.maps) == 1 else CINContextOnce(model, context_fields)


def _xdeepfm(model: XDeepFM, context_fields: int) -> nn.Module | None:
    if len(model.interaction.maps) == 1:
        return None
    cin = CINOnce(model.interaction, context_fields, model.embedding.dimension)
    mlp = MLPOnce(model.mlp, _width(model, context_fields))
    return SumOnce(model, context_fields, [cin, mlp], linear=model.linear)


def _fm(model: FM, context_fields: int) -> nn.Module:
    fm = FMOnce(model.embedding.dimension, model.fields - context_fields)
    return SumOnce(model, context_fields, [fm], linear=model.linear, bias=model.bias)


def _ffm(model: FFM, context_fields: int) -> nn.Module:
    pairs = FieldAwareOnce(model.fields, context_fields, model.options.embedding_size)
    return SumOnce(model, context_fields, [pairs], linear=model.linear, bias=model.bias)


def _fwfm(model: FwFM, context_fields: int) -> nn.Module:
    pairs = PairWeightsOnce(model.interaction, context_fields, model.embedding.dimension)
    return SumOnce(model, context_fields, [pairs], linear=model.linear, bias=model.bias)


def _fmfm(model: FmFM, context_fields: int) -> nn.Module:
    pairs = PairMatricesOnce(model.interaction, _width(model, context_fields))
    return SumOnce(model, context_fields, [pairs], linear=model.linear, bias=model.bias)


def _dnn(model: DNN, context_fields: int) -> nn.Module:
    return SumOnce(model, context_fields, [MLPOnce(model.mlp, _width(model, context_fields))])


def _wide_deep(model: WideDeep, context_fields: int) -> nn.Module:
    return SumOnce(model, context_fields, [MLPOnce(model.mlp, _width(model, context_fields))], linear=model.linear)


def _deepfm(model: DeepFM, context_fields: int) -> nn.Module:
    fm = FMOnce(model.embedding.dimension, model.fields - context_fields)
    mlp = MLPOnce(model.mlp, _width(model, context_fields))
    return SumOnce(model, context_fields, [fm, mlp], linear=model.linear)


def _dcn(model: DCN, context_fields: int) -> nn.Module:
    width = _width(model, context_fields)
    return SumOnce(model, context_fields, [VectorCrossOnce(model.cross, width), MLPOnce(model.mlp, width)])


def _dcnv2(model: DCNv2, context_fields: int) -> nn.Module | None:
    if len(model.layers) == 1 or model.readout is None:
        return None
    width = _width(model, context_fields)
    return SumOnce(model, context_fields, [CrossOnce(model.layers, model.readout, width), MLPOnce(model.mlp, width)])


_FORMS: Mapping[type[CTRModel], Callable[[Any, int], nn.Module | None]] = {
    CIN: _cin,
    CrossNet: _cross_net,
    DCN: _dcn,
    DCNv2: _dcnv2,
    DNN: _dnn,
    DeepFM: _deepfm,
    FFM: _ffm,
    FM: _fm,
    FmFM: _fmfm,
    FwFM: _fwfm,
    WideDeep: _wide_deep,
    XDeepFM: _xdeepfm,
}
"""By the class itself: a subclass may compute something else."""
