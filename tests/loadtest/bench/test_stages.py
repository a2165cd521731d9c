"""Stages are read from what the service itself prints."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.bench import wire
from loadtest.bench.stages import microseconds_between, read_stages
from loadtest.bench.wire import Sample

SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_the_stages_of_the_requests_between_two_readings(service: Any, samples: list[Sample]) -> None:
    service.probabilities(wire.COLUMNS, samples[0])
    before = read_stages(service.send(SCRAPE).text)
    for sample in samples:
        service.probabilities(wire.COLUMNS, sample)
    after = read_stages(service.send(SCRAPE).text)
    assert after.counts["respond"] - before.counts["respond"] == 3
    took = microseconds_between(before, after)
    assert set(took) == {"receive", "decode", "encode", "infer", "respond"}
    seconds = (after.seconds["infer"] - before.seconds["infer"]) / 3
    assert took["infer"] == pytest.approx(seconds * 1e6)


def test_nothing_answered_has_no_stages(service: Any) -> None:
    scraped = read_stages(service.send(SCRAPE).text)
    assert microseconds_between(scraped, scraped) == {}
