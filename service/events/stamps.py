"""Time, identity and anonymity of records: milliseconds, UUID version 7, and the keyed hash of a unit."""

from __future__ import annotations

from hashlib import blake2b
from os import urandom
from time import time

HASH_BYTES = 16
"""Bytes of a unit's hash: two of 10 million units share one with a probability under 1e-24."""


def now_ms() -> int:
    """Milliseconds since 1970 by this machine's clock."""
    return int(time() * 1000)


def uuid7(ts_ms: int) -> bytes:
    """16 bytes: 48 bits of time, then random ones, so that ids made later sort later (RFC 9562, section 5.7)."""
    random = int.from_bytes(urandom(10), "big")
    versioned = (ts_ms << 80) | (0x7 << 76) | (random & 0xFFF << 64) | (0b10 << 62) | (random & (1 << 62) - 1)
    return versioned.to_bytes(16, "big")


def unit_hash(unit: str, key: bytes) -> bytes:
    """16 bytes that tell units apart and, without the key, say nothing about them."""
    return blake2b(unit.encode("utf-8", "surrogatepass"), digest_size=HASH_BYTES, key=key).digest()
