"""A signed token in every answer of an experiment: feedback that brings it back belongs to that very answer.

    head  = version, ts_ms, n_candidates
    token = base64url(head, HMAC-SHA256(key, head, arm, request_id)[:16], arm)

The service remembers nothing: whoever holds the key can check a token, in any worker and after any restart. A token
cannot be made without the key, moved to another request or arm, or used for a position the answer did not have. It can
be used as often and as late as its owner likes: feedback counts once anyway, and the store knows what is late.

Half of SHA-256's output is kept, the least that RFC 2104, section 5, recommends: 128 bits against guessing.
"""

from __future__ import annotations

import hmac
import re
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from struct import Struct
from typing import NamedTuple

MAX_LENGTH = 160
"""Characters of the longest token: one of an arm with a name of 64 characters has 125."""
_HEAD = Struct(">BQI")
_VERSION = 1
_CODE_BYTES = 16
_FORM = re.compile(rf"[A-Za-z0-9_-]{{39,{MAX_LENGTH}}}")
_CLOCKS_MS = 5 * 60 * 1000
"""How far the clocks of two replicas may be apart."""


class TokenError(ValueError):
    """A token does not prove what it should; the message says why, and nothing that helps to make one."""


class Token(NamedTuple):
    """What a valid token proves."""

    arm: str
    ts_ms: int
    n_candidates: int


class TokenSigner:
    """Makes tokens and checks them.

    Args:
        key: the secret; any bytes, 32 random ones are best.
    """

    def __init__(self, key: bytes) -> None:
        # Keyed once: a request copies the state instead of hashing the key's two blocks again.
        self._keyed = hmac.new(sha256(b"kd-dagfm feedback token:" + key).digest(), digestmod=sha256)

    def sign(self, request_id: str, arm: str, ts_ms: int, n_candidates: int) -> str:
        """The token of one answer; URL-safe characters only."""
        head, name = _HEAD.pack(_VERSION, ts_ms, n_candidates), arm.encode()
        return urlsafe_b64encode(head + self._code(head, name, request_id) + name).rstrip(b"=").decode()

    def check(self, token: str, request_id: str, position: int | None = None, now_ms: int | None = None) -> Token:
        """What the token proves about this request.

        Args:
            token: as the client sent it.
            request_id: of the answer the feedback is about.
            position: index of the candidate, None for an item.
            now_ms: milliseconds since 1970, the clock's if None.

        Raises:
            TokenError: it was not made by this service for this request, is from the future, or had no such candidate.
        """
        head, code, name = _parts(token)
        # The code first: until it is right, nothing else in the token means anything.
        if not hmac.compare_digest(code, self._code(head, name, request_id)):
            raise TokenError("it does not belong to this request")
        _version, ts_ms, n_candidates = _HEAD.unpack(head)
        if ts_ms - (time.time_ns() // 1_000_000 if now_ms is None else now_ms) > _CLOCKS_MS:
            raise TokenError("it was made in the future; set the replicas' clocks")
        if position is not None and position >= n_candidates:
            raise TokenError(f"position {position} is beyond the {n_candidates} candidates of the answer")
        return Token(name.decode(), ts_ms, n_candidates)

    def _code(self, head: bytes, name: bytes, request_id: str) -> bytes:
        keyed = self._keyed.copy()
        # Both lengths are fixed by what precedes: the head by its format, the id by the byte that counts the name.
        keyed.update(b"%b%c%b%b" % (head, len(name), name, request_id.encode()))
        return keyed.digest()[:_CODE_BYTES]


def _parts(token: str) -> tuple[bytes, bytes, bytes]:
    """Head, code and arm of a token that has the right form."""
    if not _FORM.fullmatch(token):
        raise TokenError("it is not a token of this service")
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        raise TokenError("it is not a token of this service") from None
    end = _HEAD.size + _CODE_BYTES
    return raw[: _HEAD.size], raw[_HEAD.size : end], raw[end:]
