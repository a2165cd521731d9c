"""The benchmark runs on a tiny shape: every form in its table, shares of teachers, curves as PNG."""

from pathlib import Path

import matplotlib.image
import pytest

from export import bench_curves
from export.bench_curves import plot_against_candidates, plot_against_context
from export.bench_forms import forms_table, teachers_table
from export.bench_shapes import Shape, graphs_of

pytestmark = pytest.mark.long
SHAPE = Shape(label="tiny", fields=5, context=3, values=50)
MODELS = {
    "dagfm_outer": {"embedding_size": 4, "layers": 2},
    "crossnet": {"embedding_size": 4, "layers": 2},
    "xdeepfm": {"embedding_size": 4, "maps": [5, 3], "hidden": [6]},
}


def test_every_form_has_a_row_full_rows_are_one_and_one_form_is_chosen() -> None:
    graphs = graphs_of(SHAPE.model("dagfm_outer", MODELS["dagfm_outer"]), SHAPE.context)
    columns = [list(column.cells) for column in forms_table(SHAPE, "dagfm_outer", graphs).columns]
    assert columns[0] == ["full_rows", "folded_rows_rank_one", "context_once_dense", "context_once_rank_one"]
    assert all(float(cell) > 0 for column in columns[1:-1] for cell in column)
    assert columns[-2][0] == "1.00"
    (chosen,) = [position for position, cell in enumerate(columns[-1]) if cell == "chosen"]
    assert float(columns[3][chosen]) == min(float(cell) for cell in columns[3])


def test_a_teachers_row_has_the_students_share_of_its_flops() -> None:
    models = {name: SHAPE.model(name, options) for name, options in MODELS.items()}
    graphs = {name: graphs_of(model, SHAPE.context) for name, model in models.items()}
    columns = [list(column.cells) for column in teachers_table(SHAPE, models, graphs, rounds=1).columns]
    assert columns[0] == ["crossnet", "xdeepfm"]
    assert columns[1][0] == f"{models['dagfm_outer'].flops() / models['crossnet'].flops():.1%}"
    assert all(float(cell.rstrip("%")) > 0 for column in columns[1:] for cell in column)


def test_curves_are_written_as_png(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_curves, "CANDIDATES", (10, 20))
    monkeypatch.setattr(bench_curves, "CONTEXT_FIELDS", (1, 2))
    monkeypatch.setattr(bench_curves, "CONTEXT_ROWS", 10)
    monkeypatch.setattr(bench_curves, "_VALUES_PER_FIELD", 9)
    for plot in (plot_against_candidates, plot_against_context):
        path = plot(tmp_path / "bench", MODELS["dagfm_outer"], 1)
        assert matplotlib.image.imread(path).std() > 0
    assert sorted(path.name for path in (tmp_path / "bench").iterdir()) == [
        "cost_against_candidates.png",
        "cost_against_context.png",
    ]
