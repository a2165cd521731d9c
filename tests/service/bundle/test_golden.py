from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.bundle import BundleError, Golden, GoldenRequest

ARRAYS: dict[str, Any] = {
    "context_ids_GF": np.array([[2, 3], [0, 5]], np.int32),
    "candidate_ids_RF": np.array([[2], [3], [4]], np.int32),
    "offsets": np.array([0, 1, 3]),
    "logits_R": np.array([0.5, -1.0, 2.5], np.float32),
}


def npz(**changed: Any) -> bytes:
    """A golden.npz with some arrays replaced, or left out where None."""
    buffer = io.BytesIO()
    np.savez(buffer, **{key: value for key, value in {**ARRAYS, **changed}.items() if value is not None})
    return buffer.getvalue()


def request_of(rows: int, context_fields: int = 2, candidate_fields: int = 3) -> GoldenRequest:
    random = np.random.default_rng(rows)
    return GoldenRequest(
        random.integers(0, 9, (1, context_fields)).astype(np.int32),
        random.integers(0, 9, (rows, candidate_fields)).astype(np.int32),
        random.normal(size=rows).astype(np.float32),
    )


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(0, 3), st.integers(1, 3))
def test_requests_survive_the_trip_through_the_file(
    sizes: list[int], context_fields: int, candidate_fields: int
) -> None:
    golden = Golden(tuple(request_of(rows, context_fields, candidate_fields) for rows in sizes))
    back = Golden.from_bytes(golden.to_bytes())
    for request, original in zip(back, golden, strict=True):
        for name in ("context_ids", "candidate_ids", "logits"):
            np.testing.assert_array_equal(getattr(request, name), getattr(original, name), strict=True)


def test_the_same_requests_give_the_same_bytes() -> None:
    """The digest in the manifest depends on nothing but the content."""
    assert Golden((request_of(3),)).to_bytes() == Golden((request_of(3),)).to_bytes()


def test_the_file_these_tests_damage_is_good() -> None:
    assert [len(request.logits) for request in Golden.from_bytes(npz())] == [1, 2]


def test_no_request_at_all_is_refused() -> None:
    with pytest.raises(BundleError, match=r"golden\.npz: no request"):
        Golden(())


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused(wrong: float) -> None:
    with pytest.raises(BundleError, match=r"golden\.npz: request 1 has logits that are not finite"):
        Golden.from_bytes(npz(logits_R=np.array([0.5, -1.0, wrong], np.float32)))


@pytest.mark.parametrize(
    ("context", "candidates", "logits"),
    [((2, 2), (3, 1), (3,)), ((1, 2), (0, 1), (0,)), ((1, 2), (3, 1), (2,)), ((1, 2), (3, 1), (3, 1))],
)
def test_shapes_that_do_not_fit_are_refused(context: Any, candidates: Any, logits: Any) -> None:
    request = GoldenRequest(np.zeros(context, np.int32), np.zeros(candidates, np.int32), np.zeros(logits, np.float32))
    with pytest.raises(BundleError, match=r"expected \[1, Fc\], \[N, Ff\], \[N\]"):
        Golden((request,))


@pytest.mark.parametrize(
    "changed",
    [
        {"offsets": np.array([0, 1, 2])},
        {"offsets": np.array([0, 1, 4])},
        {"offsets": np.array([0, 3])},
        {"offsets": np.array([0, 3, 3])},
        {"offsets": np.array([0, -1, 3])},
        {"offsets": np.array([1, 2, 3])},
        {"offsets": np.array([], np.int64)},
        {"offsets": np.array(3)},
        {"offsets": np.array([[0, 1, 3]])},
        {"offsets": np.array([0.0, 1.0, 3.0])},
        {"offsets": np.array([0.0, np.nan, 3.0])},
        {"candidate_ids_RF": np.array([[2], [3]], np.int32)},
        {"candidate_ids_RF": np.array([[2.5], [3.0], [4.0]])},
        {"candidate_ids_RF": np.array([[2], [3], [2**32]])},
        {"context_ids_GF": np.array([[2, 3]], np.int32)},
        {"context_ids_GF": np.array([[2.0, 3.0], [0.0, np.nan]])},
        {"context_ids_GF": np.array(2, np.int32)},
        {"logits_R": np.array([["0.5"], ["-1"], ["2"]])},
        {"logits_R": np.array(["0.5", "-1", "2"])},
        {"logits_R": np.array(0.5, np.float32)},
        {"logits_R": np.array([0.5, 1, None], object)},
        {"logits_R": None},
        {"offsets": None},
    ],
    ids=lambda changed: next(f"{key} {value!r}" for key, value in changed.items()),
)
def test_arrays_that_do_not_fit_together_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(BundleError, match=r"^golden\.npz: "):
        Golden.from_bytes(npz(**changed))


@given(st.integers(0, len(npz()) - 1))
def test_a_file_cut_anywhere_is_refused(length: int) -> None:
    with pytest.raises(BundleError, match=r"^golden\.npz: not readable"):
        Golden.from_bytes(npz()[:length])


def test_a_bare_array_is_refused() -> None:
    buffer = io.BytesIO()
    np.save(buffer, ARRAYS["logits_R"])
    with pytest.raises(BundleError, match=r"^golden\.npz: not readable"):
        Golden.from_bytes(buffer.getvalue())
