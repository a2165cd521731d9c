"""The exported graph names the embedding table once and holds none of it."""

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from export.forms import serving_forms
from export.graph import to_onnx
from export.parity import check_parity
from export.quantize import store, with_table
from export.table import TableError
from export.weights import table_of
from service.bundle import DATA_AT, EmbeddingTable
from service.scoring import OnnxScorer
from training.models.base import CTRModel
from training.models.registry import build, example_options, names

SIZES = [70, 50, 40, 90, 60]
CONTEXT = 3


def model_of(name: str) -> CTRModel:
    torch.manual_seed(0)
    return build(name, example_options(name), SIZES).eval()


@pytest.mark.parametrize("name", names())
def test_every_form_of_every_model_names_the_table_once_and_holds_none_of_it(name: str) -> None:
    model = model_of(name)
    embedding = table_of(model)
    numbers = model.embedding.weight_VD.numel()
    for form_name, form in serving_forms(model, CONTEXT).items():
        content = to_onnx(form, CONTEXT, len(SIZES) - CONTEXT, embedding)
        held = onnx.load_from_string(content).graph.initializer
        (table,) = [tensor for tensor in held if tensor.data_location == onnx.TensorProto.EXTERNAL]
        where = {entry.key: entry.value for entry in table.external_data}
        assert where == {"location": "embedding.npy", "offset": str(DATA_AT), "length": str(numbers * 4)}
        assert all(np.prod(tensor.dims) < numbers or tensor is table for tensor in held), form_name
        assert check_parity(model, OnnxScorer(content, embedding), CONTEXT, form_name) <= 1e-5


def test_a_table_that_is_not_the_forms_is_refused() -> None:
    model = model_of("dagfm_outer")
    other = EmbeddingTable(rows_VD=table_of(model).rows_VD + np.float32(1))
    with pytest.raises(TableError, match=r"holds no table equal to the given one of shape \(310, 4\)"):
        to_onnx(serving_forms(model, CONTEXT)["full_rows"], CONTEXT, 2, other)


class WholeTable(nn.Module):
    """Uses every row for every request, as no model here does."""

    def __init__(self, model: CTRModel) -> None:
        super().__init__()
        self.weight_VD = model.embedding.weight_VD

    def forward(self, context_ids: torch.Tensor, candidate_ids: torch.Tensor) -> torch.Tensor:
        return (self.weight_VD * context_ids[:, :1]).sum() + candidate_ids.sum(1)


def test_a_quantised_table_that_is_not_read_by_row_is_refused() -> None:
    model = model_of("dagfm_outer")
    embedding = store(table_of(model).rows_VD, "float16")
    with pytest.raises(TableError, match=r"reads the table by \w+, expected Gather along its rows"):
        to_onnx(WholeTable(with_table(model, embedding)), CONTEXT, 2, embedding)
