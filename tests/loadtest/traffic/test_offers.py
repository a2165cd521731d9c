from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from loadtest.traffic.offers import Offers
from loadtest.traffic.users import Visit
from service.api.requests import RequestReader
from service.bundle import UNKNOWN_ID, Bundle, read_bundle

FORMS = ["student", "no-context", "no-catalogue"]


@pytest.fixture(params=FORMS)
def served(request: pytest.FixtureRequest, bundles: Path) -> Bundle:
    return read_bundle(bundles / request.param)


def visits(count: int = 40) -> list[Visit]:
    return [Visit(number, 0, number % 13) for number in range(count)]


def test_every_request_is_read_by_the_service_and_no_value_is_unknown(served: Bundle) -> None:
    offers = Offers(served, candidates=9, seed=1)
    reader = RequestReader(served.encoder, served.catalogue, 5000)
    for visit in visits():
        items_N = offers.drawn(visit)
        encoded = reader.encode(offers.body(visit, "u", "r", items_N))
        assert encoded.candidate_ids.shape == (9, 3)
        if served.catalogue is not None:
            assert encoded.candidate_ids.tolist() == served.catalogue.candidate_ids_IF[items_N].tolist()
        assert (encoded.unit, encoded.request_id) == ("u", "r")
        assert not (encoded.context_ids == UNKNOWN_ID).any()
        # Prices are numbers whose class is their transform's, which the vocabulary need not have.
        assert not (encoded.candidate_ids[:, :2] == UNKNOWN_ID).any()


def test_a_context_is_its_user_s_own_and_users_differ(served: Bundle) -> None:
    offers, again = (Offers(served, candidates=5, seed=1) for _ in range(2))
    contexts = [offers.context(user) for user in range(30)]
    assert contexts == [again.context(user) for user in range(30)]
    if served.schema.context:
        assert len({str(context) for context in contexts}) > 20
        hours = [int(served.encoder.encode_context(context)[0, 1]) for context in contexts]
        assert sorted(set(hours)) == [2, 3, 4, 5], "a value of every bucket"


def test_candidates_are_drawn_without_repeats_from_all_items_evenly(served: Bundle) -> None:
    offers = Offers(served, candidates=4, seed=1)
    drawn = [offers.drawn(visit) for visit in visits(6000)]
    assert all(len(set(items_N.tolist())) == 4 for items_N in drawn)
    counts = np.bincount(np.concatenate(drawn), minlength=offers.items)
    assert len(counts) == offers.items == (len(served.catalogue) if served.catalogue else 1000)
    expected = 24_000 / offers.items
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


def test_feedback_names_a_candidate_by_its_item_or_where_it_stood(bundles: Path) -> None:
    visit = visits()[3]
    for name, candidate in [("student", "item"), ("no-catalogue", "position")]:
        offers = Offers(read_bundle(bundles / name), candidates=5, seed=1)
        items_N = offers.drawn(visit)
        body = offers.body(visit, "u", "r", items_N)
        named = offers.candidate(items_N, 4)
        assert list(named) == [candidate]
        assert named[candidate] == (body["items"][4] if candidate == "item" else 4)


def test_a_made_up_item_has_the_same_values_in_every_request(bundles: Path) -> None:
    offers = Offers(read_bundle(bundles / "no-catalogue"), candidates=3, seed=1)
    first = offers.body(visits()[0], "u", "r", np.array([5, 6, 7]))["candidates"]
    other = offers.body(visits()[1], "v", "s", np.array([7, 9, 5]))["candidates"]
    for name in ("item", "category", "price"):
        assert (first[name][0], first[name][2]) == (other[name][2], other[name][0])
    again = Offers(read_bundle(bundles / "no-catalogue"), candidates=3, seed=1)
    assert again.body(visits()[0], "u", "r", np.array([5, 6, 7]))["candidates"] == first


def test_a_request_asks_about_no_more_items_than_there_are(bundles: Path) -> None:
    offers = Offers(read_bundle(bundles / "student"), candidates=500, seed=1)
    assert sorted(offers.drawn(visits()[0]).tolist()) == list(range(offers.items))
