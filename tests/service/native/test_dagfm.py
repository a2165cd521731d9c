from __future__ import annotations

import dataclasses
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from export.quantize import store
from service.native import _dagfm

if TYPE_CHECKING:
    from tests.service.conftest import Dagfm

LEVELS = _dagfm.levels()
ROWS = (1, 2, 15, 16, 17, 200, 257)


def scored(model: _dagfm.Model, context_ids: np.ndarray, candidate_ids: np.ndarray) -> np.ndarray:
    logits_N = np.full(len(candidate_ids), np.nan, np.float32)
    model.score(context_ids, candidate_ids, logits_N)
    return logits_N


@pytest.mark.parametrize("outer", [False, True], ids=["inner", "outer"])
@pytest.mark.parametrize("dimension", [1, 3, 4, 8, 16, 17])
@pytest.mark.parametrize("context", [0, 1, 15])
@pytest.mark.parametrize("candidates", [1, 2, 8])
def test_logits_are_those_of_the_definition(
    dagfm_of: Callable[..., Dagfm], outer: bool, dimension: int, context: int, candidates: int
) -> None:
    """Every instruction set of this machine, every remainder of its blocks, one to four layers."""
    layers = 1 + (dimension + context + candidates) % 4
    dagfm = dagfm_of(outer=outer, dimension=dimension, context=context, candidates=candidates, layers=layers)
    context_ids, candidate_ids = dagfm.ids(17)
    expected_N = dagfm.expected(context_ids, candidate_ids)
    for level in LEVELS:
        logits_N = scored(dagfm.model(level), context_ids, candidate_ids)
        np.testing.assert_allclose(logits_N, expected_N, atol=1e-5, rtol=1e-5, err_msg=level)


@pytest.mark.parametrize("outer", [False, True], ids=["inner", "outer"])
@pytest.mark.parametrize("layers", [1, 2, 3, 4])
@pytest.mark.parametrize("connect", ["identity", "triangular"])
def test_every_count_of_layers_and_both_connections(
    dagfm_of: Callable[..., Dagfm], outer: bool, layers: int, connect: str
) -> None:
    dagfm = dagfm_of(outer=outer, dimension=5, context=4, candidates=7, layers=layers, connect=connect)
    ids = dagfm.ids(9)
    for level in LEVELS:
        np.testing.assert_allclose(scored(dagfm.model(level), *ids), dagfm.expected(*ids), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("stored_as", ["float16", "int8"])
@pytest.mark.parametrize("dimension", [1, 3, 16, 17])
def test_stored_rows_score_as_the_numbers_they_stand_for(
    dagfm_of: Callable[..., Dagfm], stored_as: str, dimension: int
) -> None:
    exact = dagfm_of(outer=True, dimension=dimension, context=4, candidates=5, layers=2)
    dagfm = dataclasses.replace(exact, embedding=store(exact.embedding.rows_VD, stored_as))
    ids = dagfm.ids(33)
    expected_N = dagfm.expected(*ids)
    assert not np.array_equal(expected_N, exact.expected(*ids))
    for level in LEVELS:
        np.testing.assert_allclose(scored(dagfm.model(level), *ids), expected_N, atol=1e-5, rtol=1e-5, err_msg=level)


def scored_rows(level: str, **table: Any) -> np.ndarray:
    """The sum of every row of a table as a logit: one field, whose states after the first weigh nothing."""
    rows, dimension = table["embedding"].shape
    model = _dagfm.Model(
        **{"scale": None, **table},
        sizes=np.array([rows]),
        connection=np.ones((1, 1), np.float32),
        p=np.zeros((1, 1, 1, dimension), np.float32),
        q=None,
        readout=np.array([[1], [0]], np.float32),
        bias=0.0,
        context_fields=0,
        level=level,
    )
    return scored(model, np.zeros((1, 0), np.int32), np.arange(rows, dtype=np.int32)[:, None])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("dimension", "column"), [(1, 0), (16, 0), (16, 9), (17, 16)])
def test_every_finite_float16_is_read_to_the_bit(level: str, dimension: int, column: int) -> None:
    """All 63,488 of them, the subnormal ones too, alone in their row."""
    all_V = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves_V = all_V[np.isfinite(all_V)]
    assert len(halves_V) == 63_488
    rows_VD = np.zeros((len(halves_V), dimension), np.float16)
    rows_VD[:, column] = halves_V
    np.testing.assert_array_equal(scored_rows(level, embedding=rows_VD), halves_V.astype(np.float32), strict=True)


@pytest.mark.parametrize("level", LEVELS)
def test_every_int8_is_read_with_the_scale_of_its_own_row(level: str) -> None:
    rows_V1 = np.arange(-128, 128, dtype=np.int8)[:, None]
    scale_V1 = np.random.default_rng(0).random((256, 1), np.float32)
    logits_V = scored_rows(level, embedding=rows_V1, scale=scale_V1)
    np.testing.assert_array_equal(logits_V, (rows_V1.astype(np.float32) * scale_V1)[:, 0], strict=True)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"embedding": np.ones((3, 1), np.int8)}, "scale: got a NoneType"),
        ({"embedding": np.ones((3, 1), np.int8), "scale": np.ones((2, 1), np.float32)}, "scale: got 2 axes"),
        ({"embedding": np.ones((3, 1), np.int8), "scale": np.ones(3, np.float32)}, "scale: got 1 axes"),
        ({"embedding": np.ones((3, 1), np.int8), "scale": np.ones((3, 1))}, "scale: got 2 axes of format d"),
        ({"embedding": np.ones((3, 1), np.uint8)}, "embedding: got 2 axes of format B.*expected .*int8, float16 or"),
        ({"embedding": np.ones((3, 1), np.float64)}, "embedding: got 2 axes of format d"),
    ],
)
def test_a_table_without_its_scales_or_of_another_kind_is_refused(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        scored_rows(LEVELS[0], **table)


@pytest.mark.parametrize("level", LEVELS)
def test_a_candidate_has_the_same_logit_to_the_bit_in_any_batch(dagfm: Dagfm, level: str) -> None:
    model = dagfm.model(level)
    context_ids, candidate_ids = dagfm.ids(max(ROWS))
    whole_N = scored(model, context_ids, candidate_ids)
    for rows in ROWS:
        np.testing.assert_array_equal(scored(model, context_ids, candidate_ids[-rows:].copy()), whole_N[-rows:])


def test_no_candidate_is_no_logit(dagfm: Dagfm) -> None:
    context_ids, candidate_ids = dagfm.ids(1)
    assert scored(dagfm.model(), context_ids, candidate_ids[:0]).shape == (0,)


def test_weights_of_edges_against_the_order_have_no_effect(dagfm: Dagfm) -> None:
    below = np.tril(np.ones((8, 8), bool), -1)
    p_LFFD = np.where(below[:, :, None], np.float32(7), dagfm.weights.p_LFFD)
    assert not np.array_equal(p_LFFD, dagfm.weights.p_LFFD)
    changed = _dagfm.Model(**{**dagfm.arguments, "p": p_LFFD})  # type: ignore[arg-type]
    ids = dagfm.ids(20)
    np.testing.assert_array_equal(scored(changed, *ids), scored(dagfm.model(), *ids))


def test_threads_score_with_one_model_at_once_and_agree_to_the_bit(dagfm_of: Callable[..., Dagfm]) -> None:
    dagfm = dagfm_of(outer=True, dimension=16, context=15, candidates=8, layers=3)
    model = dagfm.model()
    requests = [dagfm.ids(200, seed) for seed in range(8)]
    alone = [scored(model, *request) for request in requests]
    together = threading.Barrier(8)

    def work(number: int) -> None:
        together.wait(10)
        for turn in range(100):
            request = (number + turn) % 8
            np.testing.assert_array_equal(scored(model, *requests[request]), alone[request])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def test_other_threads_run_while_it_scores(dagfm_of: Callable[..., Dagfm]) -> None:
    """The interpreter lock is free meanwhile: this thread is never held up for as long as a run takes."""
    dagfm = dagfm_of(outer=True, dimension=16, context=1, candidates=8, layers=4)
    model, (context_ids, candidate_ids) = dagfm.model("baseline"), dagfm.ids(400_000)
    started = time.perf_counter()
    logits_N = scored(model, context_ids, candidate_ids)
    alone_s = time.perf_counter() - started
    thread = threading.Thread(target=model.score, args=(context_ids, candidate_ids, logits_N))
    seen = [time.perf_counter()]
    thread.start()
    while thread.is_alive():
        seen.append(time.perf_counter())
    assert np.diff([*seen, time.perf_counter()]).max() < alone_s / 2


@pytest.mark.parametrize("bad", [-1, np.iinfo(np.int32).min, np.iinfo(np.int32).max, "size"])
@pytest.mark.parametrize("row", [0, 16, 33])
def test_an_id_outside_its_table_is_refused_with_its_place(dagfm: Dagfm, bad: Any, row: int) -> None:
    model = dagfm.model()
    context_ids, candidate_ids = dagfm.ids(34)
    context_ids[0, 1] = dagfm.sizes[1] if bad == "size" else bad
    with pytest.raises(ValueError, match="context_ids: field 1 has no such id"):
        scored(model, context_ids, candidate_ids)
    context_ids[0, 1] = 0
    candidate_ids[row, 4] = dagfm.sizes[7] if bad == "size" else bad
    with pytest.raises(ValueError, match=f"candidate_ids: candidate {row}: field 7 has no such id"):
        scored(model, context_ids, candidate_ids)
    candidate_ids[row, 4] = 0
    assert np.isfinite(scored(model, context_ids, candidate_ids)).all()


def unaligned(array: np.ndarray) -> memoryview:
    """Its bytes from an odd address on, still C-contiguous int32."""
    return memoryview(b"\0" + array.tobytes())[1:].cast("i", array.shape)


@pytest.mark.parametrize(
    ("argument", "change"),
    [
        (0, lambda ids: ids[0]),
        (0, lambda ids: ids[:, :-1].copy()),
        (0, lambda ids: np.repeat(ids, 2, axis=0)),
        (0, lambda ids: ids.astype(np.int64)),
        (0, lambda _ids: None),
        (1, lambda ids: ids.astype(np.float32)),
        (1, lambda ids: ids.astype(np.uint32)),
        (1, lambda ids: ids.astype(">i4")),
        (1, lambda ids: ids[:, :-1].copy()),
        (1, lambda ids: ids.T),
        (1, lambda ids: ids[::2]),
        (1, lambda ids: ids.reshape(-1)),
        (1, unaligned),
        (1, lambda ids: ids.tolist()),
        (2, lambda logits: logits[:-1]),
        (2, lambda logits: logits.astype(np.float64)),
        (2, lambda logits: logits[:, None]),
        (2, lambda logits: logits.tobytes()),
    ],
)
def test_another_shape_type_or_layout_is_refused(dagfm: Dagfm, argument: int, change: Callable[[Any], Any]) -> None:
    arguments: list[Any] = [*dagfm.ids(6), np.empty(6, np.float32)]
    arguments[argument] = change(arguments[argument])
    name = ("context_ids", "candidate_ids", "logits")[argument]
    with pytest.raises(ValueError, match=f"^{name}: got .* expected"):
        dagfm.model().score(*arguments)


def test_a_read_only_place_for_logits_is_refused(dagfm: Dagfm) -> None:
    logits_N = np.empty(6, np.float32)
    logits_N.flags.writeable = False
    with pytest.raises(ValueError, match=r"logits: .* expected a writable C-contiguous array"):
        dagfm.model().score(*dagfm.ids(6), logits_N)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("embedding", np.zeros((3, 6), np.float32), "sizes: they do not add up to the 3 rows"),
        ("embedding", np.zeros((0, 0), np.float32), "p: got"),
        ("sizes", np.full(8, 2**62), "sizes: they do not add up"),
        ("sizes", np.array([0] * 8), "sizes: they do not add up"),
        ("sizes", np.array([-1] * 8), "sizes: they do not add up"),
        ("sizes", np.ones(7, np.int64), "readout: got 2 axes .* length 8; expected .* length 7"),
        ("connection", np.eye(8), "connection: got 2 axes of format d"),
        ("connection", np.eye(7, dtype=np.float32), "connection: got .* length 7; expected .* length 8"),
        ("p", np.zeros((2, 8, 8, 5), np.float32), "p: got .* length 5; expected .* length 6"),
        ("q", np.zeros((1, 8, 8, 6), np.float32), "q: got"),
        ("readout", np.zeros((1, 8), np.float32), "p: got"),
        ("context_fields", 8, "got 8 fields, 8 of them context"),
        ("context_fields", -1, "got 8 fields, -1 of them context"),
        ("level", "mmx", "level: this machine has no mmx"),
    ],
)
def test_weights_that_do_not_fit_are_refused(dagfm: Dagfm, name: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        _dagfm.Model(**{**dagfm.arguments, name: value})


@pytest.mark.parametrize("change", [-1, 1])
def test_a_table_with_a_row_too_many_or_too_few_is_refused(dagfm: Dagfm, change: int) -> None:
    sizes_F = np.array([*dagfm.sizes[:-1], dagfm.sizes[-1] + change])
    with pytest.raises(ValueError, match="sizes: they do not add up"):
        _dagfm.Model(**{**dagfm.arguments, "sizes": sizes_F})  # type: ignore[arg-type]


def test_the_table_is_the_callers_and_held_as_long_as_the_model(dagfm_of: Callable[..., Dagfm]) -> None:
    dagfm = dagfm_of(outer=False, dimension=4, context=1, candidates=2, layers=1)
    table_VD, ids = dagfm.embedding.rows_VD, dagfm.ids(3)
    held = sys.getrefcount(table_VD)
    model = dagfm.model()
    assert sys.getrefcount(table_VD) == held + 1
    before_N = scored(model, *ids)
    table_VD *= 2
    assert not np.array_equal(scored(model, *ids), before_N)
    np.testing.assert_allclose(scored(model, *ids), dagfm.expected(*ids), atol=1e-5)
    del model
    assert sys.getrefcount(table_VD) == held


def test_a_refused_model_holds_nothing(dagfm: Dagfm) -> None:
    table_VD = dagfm.embedding.rows_VD
    held = sys.getrefcount(table_VD)
    with pytest.raises(ValueError, match="level"):
        dagfm.model("mmx")
    assert sys.getrefcount(table_VD) == held
