from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.shadow.message import (
    QUEUE_BYTES,
    AnsweredBy,
    Offer,
    Pair,
    Refusal,
    open_pair,
    receive,
    receive_buffer,
    send,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="messages keep their bounds on Linux's sockets")

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


def an_offer(body: bytes = b"{}", rows: int = 2, request_id: str = "r") -> Offer:
    primary, probabilities_N = AnsweredBy("student", "s@1", "ids"), np.arange(rows, dtype=np.float32)
    return Offer(primary, "teacher", request_id, 123, 0.5, body, probabilities_N)


def open_channel() -> Pair:
    pair = open_pair()
    pair.child.settimeout(0)
    return pair


@given(body=st.binary(max_size=300), rows=st.integers(0, 50), request_id=TEXTS)
def test_an_offer_arrives_as_it_was_sent(body: bytes, rows: int, request_id: str) -> None:
    pair = open_channel()
    with pair.worker, pair.child:
        sent = an_offer(body, rows, request_id)
        assert send(pair.worker, sent) is None
        got = receive(pair.child, receive_buffer(pair.child))
        assert got is not None
        assert got[:-1] == sent[:-1]
        np.testing.assert_array_equal(got.probabilities_N, sent.probabilities_N)


def test_every_second_probability_of_an_array_arrives_too() -> None:
    pair = open_channel()
    with pair.worker, pair.child:
        strided = an_offer()._replace(probabilities_N=np.arange(6, dtype=np.float32)[::2])
        assert send(pair.worker, strided) is None
        got = receive(pair.child, receive_buffer(pair.child))
        assert got is not None
        assert got.probabilities_N.tolist() == [0, 2, 4]


def test_a_full_queue_refuses_and_what_was_taken_arrives_in_order() -> None:
    pair = open_channel()
    with pair.worker, pair.child:
        sent = 0
        while (refusal := send(pair.worker, an_offer(b"x" * 10_000, request_id=str(sent)))) is None:
            sent += 1
        assert refusal is Refusal.FULL
        assert 5 < sent <= 2 * QUEUE_BYTES / 10_000
        buffer = receive_buffer(pair.child)
        received = [receive(pair.child, buffer) for _ in range(sent)]
        assert [offer.request_id for offer in received if offer] == [str(n) for n in range(sent)]
        assert send(pair.worker, an_offer()) is None


def test_the_largest_message_fits_and_one_byte_more_is_too_large() -> None:
    pair = open_channel()
    with pair.worker, pair.child:
        buffer = receive_buffer(pair.child)
        around = 28 + len("student\0s@1\0ids\0teacher\0r") + 2 * 4
        largest = len(buffer) - 32 - around
        assert send(pair.worker, an_offer(b"x" * (largest + 1))) is Refusal.TOO_LARGE
        assert send(pair.worker, an_offer(b"x" * largest)) is None
        got = receive(pair.child, buffer)
        assert got is not None
        assert len(got.body) == largest


def test_a_closed_end_ends_the_other_once_what_waits_was_received() -> None:
    pair = open_channel()
    with pair.child:
        send(pair.worker, an_offer())
        pair.worker.close()
        buffer = receive_buffer(pair.child)
        assert receive(pair.child, buffer) is not None
        assert receive(pair.child, buffer) is None
    other = open_channel()
    with other.worker:
        other.child.close()
        assert send(other.worker, an_offer()) is Refusal.NO_CHILD
