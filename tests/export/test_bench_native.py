"""The benchmark runs, and its bound is one: it touches every row it should."""

import numpy as np
import pytest
import torch

from export.bench_native import Bound, _table
from export.bench_shapes import Requests, Shape
from export.weights import table_of, weights_of
from training.models.dagfm import DAGFM
from training.models.registry import build

SHAPE = Shape(label="tiny", fields=5, context=2, values=50)


@pytest.fixture
def model() -> DAGFM:
    torch.manual_seed(0)
    model = build("dagfm_outer", {"embedding_size": 4, "layers": 1}, [10] * 5).eval()
    assert isinstance(model, DAGFM)
    return model


def test_a_table_has_a_row_per_size_and_every_ratio(model: DAGFM) -> None:
    table = _table(SHAPE, "outer", model, rounds=1)
    assert list(table.columns[0].cells) == ["1", "50", "200", "1000"]
    for column in table.columns[1:]:
        assert all(float(cell) > 0 for cell in column.cells)


def test_the_bound_does_the_multiply_adds_of_the_equations(model: DAGFM) -> None:
    """Outer, 3 candidate fields: 6 edges x 4 dimensions x (2 per layer + 1 for the connection)."""
    weights = weights_of(model)
    assert weights is not None
    bound = Bound(model, weights, 2)
    assert bound._numbers[:5] == [2, 3, 4, (15 - 6) * 4 * 3, 6 * 4 * 3]
    ids = np.full((1, 2), 9, np.int32), np.full((1, 40, 3), 9, np.int32)
    bound.round(Requests(*ids))()
    gathered = bound._scratch[(bound._scratch != 0)]
    np.testing.assert_array_equal(np.unique(gathered), np.unique(table_of(model).rows_VD[29::10]))
