from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.api.contexts import ContextCache
from service.api.requests import RequestReader
from service.app import create_app
from service.bundle import Bundle, Ids
from service.settings import Settings


class Count:
    def __init__(self) -> None:
        self.counted = 0

    def inc(self) -> None:
        self.counted += 1


class Encodings:
    """An encoder that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []

    def __call__(self, context: Mapping[str, Any]) -> Ids:
        self.asked.append(context)
        if context.get("a") == "bad":
            raise ValueError
        return np.array([[len(self.asked)]], np.int32)


def test_a_context_seen_before_is_not_encoded_again() -> None:
    hits, misses, encode = Count(), Count(), Encodings()
    remembered = ContextCache(8, hits, misses).around(encode)
    got = [int(remembered({"a": value})[0, 0]) for value in ("x", "y", "x", "x")]
    assert got == [1, 2, 1, 1]
    assert (hits.counted, misses.counted) == (2, 2)


def test_values_that_python_calls_equal_are_different_contexts() -> None:
    encode = Encodings()
    remembered = ContextCache(8, Count(), Count()).around(encode)
    for value in (1, 1.0, True, "1", None, ""):
        remembered({"a": value})
    assert len(encode.asked) == 6


def test_the_context_not_used_for_longest_is_forgotten_first() -> None:
    encode = Encodings()
    remembered = ContextCache(2, Count(), Count()).around(encode)
    for value in ("x", "y", "x", "z", "x", "y"):
        remembered({"a": value})
    assert [context["a"] for context in encode.asked] == ["x", "y", "z", "y"]


def test_a_refused_context_is_asked_about_every_time() -> None:
    encode = Encodings()
    remembered = ContextCache(2, Count(), Count()).around(encode)
    for _ in range(2):
        with pytest.raises(ValueError):  # noqa: PT011 - the encoder's own
            remembered({"a": "bad"})
    assert len(encode.asked) == 2


def test_ids_that_are_handed_out_twice_cannot_be_written(bundle: Bundle) -> None:
    reader = RequestReader(bundle.encoder, bundle.catalogue, 5, ContextCache(4, Count(), Count()))
    request = {"context": {"user": "u3", "hour": 13}, "items": ["i0"]}
    first, second = reader.encode(request).context_ids, reader.encode(request).context_ids
    assert first is second
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 1


def test_the_service_counts_what_its_cache_had(bundles: Path) -> None:
    settings = Settings(student_bundle=bundles / "student", teacher_bundle=None, context_cache=2)
    app = create_app(settings)
    request = {"context": {"user": "u3", "hour": 13}, "items": ["i0"]}

    async def ask() -> list[Any]:
        async with app.router.lifespan_context(app):
            counted = app.service_state.metrics.context_cache
            before = [counted.labels(arm="student", result=result)._value.get() for result in ("hit", "miss")]
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
                answers = [(await client.post("/predict", json=request)).json()["probabilities"] for _ in range(3)]
            after = [counted.labels(arm="student", result=result)._value.get() for result in ("hit", "miss")]
            return [answers, [late - early for early, late in zip(before, after, strict=True)]]

    answers, counted = asyncio.run(ask())
    assert answers[0] == answers[1] == answers[2]
    assert sum(counted) == 3
    assert counted[1] <= 1  # the example proved at the start may have the same context
