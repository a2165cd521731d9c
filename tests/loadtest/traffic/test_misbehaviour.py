from __future__ import annotations

from collections import Counter

import pytest

from loadtest.traffic.misbehaviour import DUPLICATE, FORGED, UNKNOWN, Misbehaviour, tampered

TOKEN = "abc" + "def"


def events_of(visit: int, token: str | None = TOKEN) -> list[dict[str, object]]:
    common = {"request_id": f"r{visit}"} | ({} if token is None else {"token": token})
    return [{**common, "item": item, "type": "impression"} for item in range(5)]


def test_who_behaves_sends_what_happened_and_nothing_else() -> None:
    sent: Counter[str] = Counter()
    assert Misbehaviour().added(1, 7, events_of(7), sent) == events_of(7)
    assert not sent
    assert not Misbehaviour().is_late(1, 7)


def test_duplicates_follow_the_event_they_repeat_and_are_counted() -> None:
    sent: Counter[str] = Counter()
    twice = Misbehaviour(duplicates=1).added(1, 7, events_of(7), sent)
    assert twice == [event for event in events_of(7) for _ in range(2)]
    assert sent[DUPLICATE] == 5


def test_a_click_for_nobody_s_request_and_a_forged_one_come_last() -> None:
    sent: Counter[str] = Counter()
    *good, stranger, forged = Misbehaviour(unknown=1, forged=1).added(1, 7, events_of(7), sent)
    assert good == events_of(7)
    assert stranger == {**events_of(7)[0], "type": "click", "request_id": "nobody-r7"}
    assert forged == {**events_of(7)[0], "type": "click", "token": "abcAef"}
    assert sent == {UNKNOWN: 1, FORGED: 1}


def test_without_tokens_nothing_is_forged() -> None:
    sent: Counter[str] = Counter()
    assert Misbehaviour(forged=1).added(1, 7, events_of(7, token=None), sent) == events_of(7, token=None)
    assert not sent


def test_shares_are_kept_and_the_same_visits_misbehave_again() -> None:
    some, counts = Misbehaviour(duplicates=0.1, late=0.2, unknown=0.3, forged=0.4), []
    for _ in range(2):
        sent: Counter[str] = Counter()
        visits = [(some.is_late(5, visit), some.added(5, visit, events_of(visit), sent)) for visit in range(2000)]
        counts.append((visits, sent))
    (visits, sent), again = counts
    assert (visits, sent) == again
    assert sent[DUPLICATE] / 10_000 == pytest.approx(0.1, abs=0.015)
    assert sum(late for late, _ in visits) / 2000 == pytest.approx(0.2, abs=0.04)
    assert sent[UNKNOWN] / 2000 == pytest.approx(0.3, abs=0.05)
    assert sent[FORGED] / 2000 == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize("token", ["abcdef", "AAAAAA", "x"])
def test_a_tampered_token_differs_in_one_character(token: str) -> None:
    changed = tampered(token)
    assert len(changed) == len(token)
    assert sum(a != b for a, b in zip(changed, token, strict=True)) == 1


def test_a_share_beyond_one_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"late: got 1\.5, expected a share from 0 to 1"):
        Misbehaviour(late=1.5)
