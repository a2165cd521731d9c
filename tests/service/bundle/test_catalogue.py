from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.bundle import BundleError, Catalogue, UnknownItem

IDS_IF = np.array([[2, 9], [3, 8], [4, 7]], np.int32)
CATALOGUE = Catalogue(["lamp", "42", "été"], IDS_IF)


@given(st.lists(st.integers(0, 2)))
def test_items_are_looked_up_in_the_order_asked_for(rows: list[int]) -> None:
    items = [CATALOGUE.items[row] for row in rows]
    expected = [IDS_IF[row].tolist() for row in rows]
    assert CATALOGUE.candidate_ids(items).tolist() == expected
    assert CATALOGUE.candidate_ids(items).shape == (len(rows), 2)
    assert CATALOGUE.candidate_ids(items).dtype == np.int32


def test_an_integer_is_looked_up_by_its_decimal_text() -> None:
    assert CATALOGUE.candidate_ids([42]).tolist() == CATALOGUE.candidate_ids(["42"]).tolist() == [[3, 8]]


@pytest.mark.parametrize("wrong", ["chair", "", "042", 43, 42.0, True, None, ["lamp"], {}, ("lamp",)], ids=repr)
def test_the_first_item_that_is_not_here_is_named_with_its_position(wrong: Any) -> None:
    with pytest.raises(UnknownItem, match=re.escape(f"position 2 is not in the catalogue: got {wrong!r}")) as raised:
        CATALOGUE.candidate_ids(["lamp", "42", wrong, "lamp", "also unknown"])
    assert (raised.value.position, raised.value.item) == (2, wrong)


@pytest.mark.parametrize("wrong", [True, None, 42.0], ids=repr)
def test_what_only_reads_like_an_item_is_unknown(wrong: Any) -> None:
    """JSON's true is not the item named "True"."""
    catalogue = Catalogue(["True", "None", "42.0"], IDS_IF)
    with pytest.raises(UnknownItem, match=re.escape(f"position 0 is not in the catalogue: got {wrong!r}")):
        catalogue.candidate_ids([wrong])


def test_a_looked_up_row_is_a_copy() -> None:
    """Or a caller could change the catalogue for everyone."""
    CATALOGUE.candidate_ids(["lamp"])[:] = 0
    assert CATALOGUE.candidate_ids(["lamp"]).tolist() == [[2, 9]]


def test_its_length_is_the_count_of_items() -> None:
    assert len(CATALOGUE) == 3


@pytest.mark.parametrize(("item", "message"), [("", "no text"), ("\ud800", "UTF-8")])
def test_an_item_that_no_request_can_name_is_refused(item: str, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        Catalogue(["a", item], np.zeros((2, 1), np.int32))


def test_an_item_twice_is_refused() -> None:
    with pytest.raises(BundleError, match=r"1 item\(s\) occur more than once"):
        Catalogue(["lamp", "42", "lamp"], IDS_IF)


@pytest.mark.parametrize("ids", [IDS_IF[:2], IDS_IF[0], IDS_IF[None]], ids=["rows", "one axis", "three axes"])
def test_ids_that_are_not_a_row_per_item_are_refused(ids: Any) -> None:
    with pytest.raises(BundleError, match=r"expected ids \[items, candidate fields\]"):
        Catalogue(["lamp", "42", "été"], ids)
