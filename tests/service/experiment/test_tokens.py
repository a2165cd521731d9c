from __future__ import annotations

import re
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.experiment.tokens import MAX_LENGTH, Token, TokenError, TokenSigner

HOUR_MS = 3_600_000
NOW_MS = 1_760_000_000_000
SIGNER = TokenSigner(b"a secret")
TOKEN = SIGNER.sign("request-1", "student", NOW_MS, 200)


def check(token: str = TOKEN, request_id: str = "request-1", position: int | None = None, now: int = NOW_MS) -> Token:
    return SIGNER.check(token, request_id, position, now)


def test_a_token_proves_the_arm_time_and_number_of_candidates_of_its_answer() -> None:
    assert check() == Token("student", NOW_MS, 200)


def test_a_token_is_checked_by_the_clock_where_no_time_is_given() -> None:
    fresh = SIGNER.sign("r", "student", time.time_ns() // 1_000_000, 1)
    assert SIGNER.check(fresh, "r").arm == "student"
    ahead = SIGNER.sign("r", "student", time.time_ns() // 1_000_000 + HOUR_MS, 1)
    with pytest.raises(TokenError, match="future"):
        SIGNER.check(ahead, "r")


def test_a_token_of_another_request_is_refused() -> None:
    with pytest.raises(TokenError, match="does not belong to this request"):
        check(request_id="request-2")


def test_a_token_made_with_another_key_is_refused() -> None:
    other = TokenSigner(b"another secret").sign("request-1", "student", NOW_MS, 200)
    with pytest.raises(TokenError, match="does not belong"):
        check(other)


@given(place=st.integers(0, len(urlsafe_b64decode(TOKEN + "==")) - 1), flipped=st.integers(1, 255))
def test_a_token_changed_anywhere_is_refused(place: int, flipped: int) -> None:
    """Arm, time, number of candidates, code: no byte of them can be another."""
    raw = bytearray(urlsafe_b64decode(TOKEN + "=" * (-len(TOKEN) % 4)))
    raw[place % len(raw)] ^= flipped
    with pytest.raises(TokenError):
        check(urlsafe_b64encode(raw).rstrip(b"=").decode())


def test_a_part_of_the_arm_cannot_become_a_part_of_the_request() -> None:
    raw = urlsafe_b64decode(SIGNER.sign("-x", "student", NOW_MS, 9) + "==")
    with pytest.raises(TokenError):
        check(urlsafe_b64encode(raw[:-1]).rstrip(b"=").decode(), request_id="t-x")


def test_a_token_does_not_expire_for_the_store_knows_what_is_late() -> None:
    assert check(now=NOW_MS + 1000 * HOUR_MS)


@pytest.mark.parametrize(("ahead_ms", "valid"), [(300_000, True), (300_001, False)])
def test_clocks_of_replicas_may_differ_by_five_minutes(ahead_ms: int, *, valid: bool) -> None:
    if valid:
        assert check(now=NOW_MS - ahead_ms)
    else:
        with pytest.raises(TokenError, match="in the future"):
            check(now=NOW_MS - ahead_ms)


def test_only_candidates_of_the_answer_have_a_position() -> None:
    assert check(position=199)
    with pytest.raises(TokenError, match="position 200 is beyond the 200 candidates"):
        check(position=200)


@given(st.text(max_size=300) | st.from_regex(r"[A-Za-z0-9_-]{0,200}", fullmatch=True))
def test_whatever_else_comes_as_a_token_is_refused_as_such(text: str) -> None:
    with pytest.raises(TokenError):
        check(text)


@given(
    request_id=st.from_regex(r"[A-Za-z0-9._:-]{1,128}", fullmatch=True),
    arm=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True),
    candidates=st.integers(1, 2**32 - 1),
)
def test_every_token_is_short_url_safe_and_valid(request_id: str, arm: str, candidates: int) -> None:
    token = SIGNER.sign(request_id, arm, NOW_MS, candidates)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", token)
    assert len(token) <= MAX_LENGTH
    assert SIGNER.check(token, request_id, candidates - 1, NOW_MS) == Token(arm, NOW_MS, candidates)
