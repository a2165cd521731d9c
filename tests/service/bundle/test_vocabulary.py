from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.bundle import FIRST_VALUE_ID, PADDING_ID, UNKNOWN_ID, BundleError, Vocabulary

counts_of_values = st.dictionaries(st.text(max_size=4), st.integers(0, 5), max_size=8)


def slowly_fitted(counts: dict[str, int], min_count: int) -> list[str]:
    """Take the best remaining value until none is left."""
    left = {value: count for value, count in counts.items() if value and count >= min_count}
    taken = []
    while left:
        top = max(left.values())
        taken.append(min(value for value, count in left.items() if count == top))
        del left[taken[-1]]
    return taken


def test_padding_unknown_and_first_value_are_zero_one_and_two() -> None:
    """Frozen: every published bundle relies on them."""
    assert (PADDING_ID, UNKNOWN_ID, FIRST_VALUE_ID) == (0, 1, 2)


@given(counts_of_values, st.integers(0, 4))
def test_frequent_values_come_first_and_ties_are_ordered_by_value(counts: dict[str, int], min_count: int) -> None:
    assert list(Vocabulary.fit(counts, min_count=min_count).values) == slowly_fitted(counts, min_count)


@given(counts_of_values, st.randoms())
def test_the_order_in_which_values_were_counted_does_not_matter(counts: dict[str, int], random: Any) -> None:
    pairs = list(counts.items())
    random.shuffle(pairs)
    assert Vocabulary.fit(dict(pairs)) == Vocabulary.fit(counts)


def test_every_value_seen_once_is_kept_unless_told_otherwise() -> None:
    assert Vocabulary.fit({"a": 1, "b": 2}).values == ("b", "a")


def test_values_can_be_kept_in_order_of_first_appearance() -> None:
    assert Vocabulary.of(["b", "a", "", "b", "c", "a"]).values == ("b", "a", "c")


@given(st.lists(st.text(min_size=1), unique=True))
def test_ids_count_from_two_without_a_gap(values: list[str]) -> None:
    vocabulary = Vocabulary(tuple(values))
    ids_N = np.empty(len(values), np.int32)
    assert vocabulary.table.encode(values, ids_N, 0, 1) == -1
    assert ids_N.tolist() == list(range(2, 2 + len(values)))
    assert len(vocabulary) == 2 + len(values)


def test_a_value_twice_is_refused() -> None:
    with pytest.raises(BundleError, match=r"1 value\(s\) occur more than once"):
        Vocabulary(("a", "b", "a"))


@pytest.mark.parametrize("value", ["", 7, None, 1.5, ["a"], b"a"])
def test_a_value_that_is_no_text_or_empty_is_refused(value: Any) -> None:
    with pytest.raises(BundleError, match="non-empty string"):
        Vocabulary(("a", value))


def test_a_value_that_utf8_cannot_write_is_refused() -> None:
    with pytest.raises(BundleError, match="UTF-8"):
        Vocabulary(("a", "\ud800"))
