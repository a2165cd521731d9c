"""Small cases through the real fit(), and what the bench is made of."""

import pytest
import torch

from training.bench_training.cases import MODELS, SHAPES, STUDENTS, Case, cases, draw_rows
from training.bench_training.drawing import ratios
from training.bench_training.library import LibraryModel
from training.bench_training.measure import measure
from training.bench_training.published import BEST_LIBRARY
from training.models.registry import build, names


def test_the_shapes_are_those_of_the_reference() -> None:
    assert (len(SHAPES["ml"]), len(SHAPES["criteo"])) == (7, 39)
    assert sum(SHAPES["ml"]) == pytest.approx(13_487)
    assert sum(SHAPES["criteo"]) == pytest.approx(1.3e6, rel=1e-3)


def test_ids_lie_in_their_field_and_small_ones_are_drawn_most() -> None:
    ids_NF = draw_rows("criteo", 20_000).ids_NF
    assert (ids_NF.amin(0) == 0).all()
    assert (ids_NF.amax(0) < torch.tensor(SHAPES["criteo"])).all()
    largest = ids_NF[:, -1]
    assert (largest < 1_000).float().mean() == pytest.approx(0.53, abs=0.03)  # log 1000 / log 435,000


def test_every_model_is_measured() -> None:
    assert set(MODELS) == set(names())
    for name, options in MODELS.items():
        build(name, options, [9] * 7)


def test_every_published_figure_has_a_case() -> None:
    planned = {
        (case.model, case.shape, case.batch)
        for case in cases(list(MODELS), list(SHAPES), [1024, 4096], [1], quick=True)
        if case.trainer == "fit"
    }
    assert set(BEST_LIBRARY) <= planned


@pytest.mark.parametrize(("model", "trainer"), [("deepfm", "fit"), (STUDENTS[0], "fit"), ("dcnv2", "library")])
def test_a_case_tells_rate_and_memory(model: str, trainer: str) -> None:
    case = Case(
        model=model,
        shape="ml",
        batch=64,
        precision="float32",
        updates="dense",
        threads=1,
        trainer=trainer,  # type: ignore[arg-type]
        repeats=2,
        seconds=0.01,
    )
    result = measure(case)
    assert len(result["rates"]) == 2
    assert result["rows_per_second"] > 0
    assert result["peak_mib"] > 100


def test_the_baseline_gives_the_models_own_logits_if_its_tables_hold_the_same() -> None:
    torch.manual_seed(0)
    sizes = [5, 4, 3]
    model = build("deepfm", {"embedding_size": 4, "hidden": [6]}, sizes)
    ids_BF = torch.tensor([[0, 3, 2], [4, 1, 0]], dtype=torch.int32)
    expected_B = model(ids_BF)
    tables = [torch.split(each.weight_VD.detach(), sizes) for each in (model.embedding, model.linear)]
    library = LibraryModel(model, sizes)
    for modules, weights in zip((library.tables, library.linear), tables, strict=True):
        for module, weight in zip(modules, weights, strict=True):
            module.weight.data.copy_(weight)
    torch.testing.assert_close(library(ids_BF), expected_B)


def test_a_ratio_is_to_the_baseline_of_the_same_model_shape_batch_and_threads() -> None:
    common = {"model": "deepfm", "shape": "criteo", "batch": 1024, "threads": 1}
    library = {**common, "trainer": "library", "rows_per_second": 1_000.0}
    ours = {**common, "trainer": "fit", "rows_per_second": 18_930.0}
    assert ratios(ours, [{**library, "threads": 2}, ours]) == {"published": pytest.approx(2.0)}
    assert ratios(ours, [library, ours])["baseline"] == pytest.approx(18.93)
