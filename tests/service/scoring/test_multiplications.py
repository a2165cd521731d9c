"""What the native scorer multiplies, counted one multiplication at a time, and by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from service.bundle import Bundle, read_bundle
from service.scoring import OnnxScorer, choose_scorer
from service.scoring.multiplications import executed_flops, native_multiplications

if TYPE_CHECKING:
    from tests.conftest import OpenClient
    from tests.service.conftest import Dagfm

SIZES = [(0, 3, 4, 1), (1, 2, 2, 1), (3, 5, 6, 2), (15, 8, 16, 3), (4, 1, 3, 2)]
"""Context fields, candidate fields, dimensions, layers."""


def counted(context: int, candidates: int, dimension: int, layers: int, *, outer: bool, mixes: bool) -> tuple[int, int]:
    """Once and per candidate: every multiplication of the definition, put where its inputs are known."""
    spent = {"once": 0, "each": 0}
    fields = context + candidates

    def add(source: int, target: int, count: int) -> None:
        spent["once" if source < context else "each"] += count
        assert source <= target

    for target in range(fields):
        spent["once" if target < context else "each"] += 1 if target < context else dimension  # reads h^1 out
        for source in range(target + 1):
            if source < context or mixes:
                add(source, target, dimension)
    for _layer in range(layers):
        for target in range(fields):
            for source in range(target + 1):
                add(source, target, 2 * dimension if outer else dimension)
            add(target, target, dimension)  # ⊙ h^1
            add(target, target, 1 if outer or target < context else dimension)  # reads the state out
    return spent["once"], spent["each"]


@pytest.mark.parametrize("connect", ["triangular", "identity"])
@pytest.mark.parametrize("outer", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_the_formula_is_what_one_counts(
    dagfm_of: Callable[..., Dagfm], size: tuple[int, int, int, int], connect: str, *, outer: bool
) -> None:
    context, candidates, dimension, layers = size
    model = dagfm_of(
        outer=outer, dimension=dimension, context=context, candidates=candidates, layers=layers, connect=connect
    )
    expected = counted(*size, outer=outer, mixes=connect == "triangular")
    assert native_multiplications(model.weights, context) == expected


@pytest.mark.parametrize(("outer", "once", "each"), [(False, 16, 24), (True, 22, 28)])
def test_by_hand(dagfm_of: Callable[..., Dagfm], once: int, each: int, *, outer: bool) -> None:
    """One context field c, two candidate fields x, y, two dimensions, one layer.

    Edges from c: cc, cx, cy; among candidates: xx, xy, yy. Once: connection 3·2, reading c 1, messages 3·2 (outer
    3·4), ⊙ 2, reading 1. Each: connection 3·2, reading 2·2, messages 3·2 (3·4), ⊙ 2·2, reading 2·2 (outer 2).
    """
    model = dagfm_of(outer=outer, dimension=2, context=1, candidates=2, layers=1)
    assert native_multiplications(model.weights, 1) == (once, each)


@pytest.mark.parametrize(("kind", "scaled"), [("outer_bundle", 0), ("int8_bundle", 6)])
def test_scaling_rows_of_int8_takes_a_multiplication_for_every_number_gathered(
    kind: str, scaled: int, request: pytest.FixtureRequest
) -> None:
    """Two context fields, three candidate fields, six dimensions."""
    bundle: Bundle = request.getfixturevalue(kind)
    assert bundle.weights is not None
    once, each = native_multiplications(bundle.weights, 2)
    choice = choose_scorer(OnnxScorer(bundle.model_onnx, bundle.embedding), bundle, "native")
    found = executed_flops(bundle, choice)
    assert found.once == once + 2 * scaled
    assert found.of_request(7) == pytest.approx(once + 2 * scaled + 7 * (each + 3 * scaled))


def test_the_counter_the_gauge_and_models_follow_the_scorer_that_answers(
    open_client: OpenClient, outer_path: Path
) -> None:
    bundle = read_bundle(outer_path)
    assert bundle.weights is not None
    once, each = native_multiplications(bundle.weights, len(bundle.schema.context))
    stated = bundle.manifest.flops
    expected = {"native": once + 3 * each, "onnxruntime": stated.of_request(3)}
    assert expected["native"] != expected["onnxruntime"]
    name = bundle.manifest.model
    for scorer, total in expected.items():
        client = open_client(student_bundle=outer_path, teacher_bundle=None, scorer=scorer)
        body = {"context": bundle.example["context"], "items": bundle.example["items"][:3]}
        assert client.post("/predict", json=body).status_code == 200
        assert client.metric("ctr_model_flops_total", model=name) == pytest.approx(total)
        executed = client.metric("ctr_model_flops_per_candidate", model=name, kind="executed")
        shown = client.get("/models").json()["arms"]["student"]["flops"]
        assert shown["executed"] == executed
        assert shown["once"] + 3 * (executed - shown["once"] / shown["candidates"]) == pytest.approx(total)
        assert shown["effective"] == stated.effective


def test_the_budget_of_the_event_loop_is_in_what_the_native_scorer_multiplies(
    open_client: OpenClient, outer_path: Path
) -> None:
    bundle = read_bundle(outer_path)
    assert bundle.weights is not None
    once, each = native_multiplications(bundle.weights, len(bundle.schema.context))
    client = open_client(
        student_bundle=outer_path, teacher_bundle=None, scorer="native", inline_multiplications=once + 3 * each
    )
    items = bundle.example["items"]
    for count, waited in ((3, 0), (4, 1)):
        client.post("/predict", json={"context": bundle.example["context"], "items": items[:count]})
        assert client.metric("ctr_stage_duration_seconds_count", stage="queue", arm="student") == waited
