"""Writes assignment_vectors.json: `python tests/service/experiment/make_assignment_vectors.py`.

From the definition alone, without the code under test, so that another language can check itself against the file.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

PATH = Path(__file__).with_name("assignment_vectors.json")
LAYER, SALT = "ranking", "student-vs-teacher.1"
COMPOSED, DECOMPOSED = "\u00e9", "e\u0301"
ODD = ("", "0", "a:b", "user-42", "日本語", "x" * 256, COMPOSED, DECOMPOSED, " user", "user ")


def bucket(salt: str, unit: str) -> int:
    """First 8 bytes of SHA-256 of `salt:unit` in UTF-8, big-endian, modulo 10,000."""
    return int.from_bytes(sha256(f"{salt}:{unit}".encode()).digest()[:8], "big") % 10_000


def vectors() -> list[dict[str, object]]:
    """1,000 units with their buckets and, at a ramp of 25 % and weights 5000/5000, what becomes of them."""
    units = [*ODD, *(f"user{i}" for i in range(990))]
    return [_vector(unit) for unit in units]


def _vector(unit: str) -> dict[str, object]:
    layer, inclusion, arm = bucket(LAYER, unit), bucket(f"{SALT}.in", unit), bucket(f"{SALT}.arm", unit)
    included = inclusion < 25 * 100
    named = ("student" if arm < 5000 else "teacher") if included else None
    return {"unit": unit, "layer": layer, "inclusion": inclusion, "draw": arm, "arm": named}


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(vector, ensure_ascii=False) for vector in vectors())
    PATH.write_text(f"[\n{lines}\n]\n")
