"""Requests collected into one run get the logits they would get alone, and are collected when they should be."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from loadtest.bench import wire
from loadtest.bench.apps import RowsModel
from loadtest.bench.batching import EACH, scoring_each, variants
from loadtest.bench.batching_app import Batcher, batching, scorer_of
from loadtest.bench.bundles import Subject, onnx_scorer
from loadtest.bench.points import Point
from loadtest.bench.wire import Sample, make_samples
from service.api.requests import EncodedRequest
from service.bundle import Ids


class CountedRows(RowsModel):
    """The rows graph, remembering how many rows each run had."""

    def __init__(self, graph: Path) -> None:
        super().__init__(graph)
        self.runs: list[int] = []

    def logits(self, rows_NF: Ids) -> npt.NDArray[np.float32]:
        self.runs.append(len(rows_NF))
        return super().logits(rows_NF)


def requests_of(samples: list[Sample]) -> list[EncodedRequest]:
    """The samples as the service would read them, the second with fewer candidates."""
    sizes = [len(sample.candidate_ids) for sample in samples]
    sizes[1] = 2
    return [
        EncodedRequest(
            context_ids=sample.context_ids, candidate_ids=sample.candidate_ids[:size].copy(), unit=None, request_id=None
        )
        for sample, size in zip(samples, sizes, strict=True)
    ]


@pytest.mark.parametrize(("window_s", "runs"), [(None, []), (0.0, [7 + 2 + 7]), (0.02, [7 + 2 + 7])])
def test_requests_at_the_same_time_get_their_own_logits(
    subject: Subject, samples: list[Sample], window_s: float | None, runs: list[int]
) -> None:
    rows, alone = CountedRows(subject.rows_graph), onnx_scorer(subject.bundle)
    batcher = Batcher(alone, rows, window_s)

    async def at_once() -> list[Any]:
        return await asyncio.gather(*(batcher.score(request) for request in requests_of(samples)))

    found = asyncio.run(at_once())
    assert rows.runs == runs
    for request, logits_N in zip(requests_of(samples), found, strict=True):
        expected_N = alone.score(request.context_ids, request.candidate_ids)
        np.testing.assert_allclose(logits_N, expected_N, atol=1e-5)


def test_a_window_waits_for_a_later_request_and_no_window_does_not(subject: Subject, samples: list[Sample]) -> None:
    requests = requests_of(samples)

    async def one_then_another(window_s: float) -> list[int]:
        rows = CountedRows(subject.rows_graph)
        batcher = Batcher(onnx_scorer(subject.bundle), rows, window_s)
        first = asyncio.create_task(batcher.score(requests[0]))
        await asyncio.sleep(0.01)
        await asyncio.gather(first, batcher.score(requests[1]))
        return rows.runs

    assert asyncio.run(one_then_another(0.2)) == [7 + 2]
    assert asyncio.run(one_then_another(0.0)) == []


def test_a_run_that_fails_fails_everyone_who_waited(subject: Subject, samples: list[Sample]) -> None:
    requests = requests_of(samples)
    batcher = Batcher(onnx_scorer(subject.bundle), RowsModel(subject.rows_graph), 0.0)
    requests[0].candidate_ids[0, 0] = 10_000  # no row of the table

    async def at_once() -> list[Any]:
        return await asyncio.gather(*(batcher.score(request) for request in requests), return_exceptions=True)

    assert all(isinstance(outcome, Exception) for outcome in asyncio.run(at_once()))


@pytest.mark.parametrize("window_s", [None, 0.0])
def test_the_app_answers_as_the_service_does(
    subject: Subject, service: Any, ask: Any, samples: list[Sample], window_s: float | None
) -> None:
    app = ask(batching(subject.bundle, subject.rows_graph, "onnxruntime", window_s))
    for sample in samples:
        expected = service.probabilities(wire.ITEM_IDS, sample)
        np.testing.assert_allclose(app.probabilities(wire.ITEM_IDS, sample), expected, atol=1e-6)


def test_an_unknown_scorer_is_named(subject: Subject) -> None:
    with pytest.raises(ValueError, match="'fast'"):
        scorer_of(subject.bundle, "fast")


def test_every_variant_is_compared_with_scoring_each_by_the_same_scorer(subject: Subject) -> None:
    names = {server.name for server in variants(subject)}
    assert len(names) == 10
    for name in names:
        point = Point(candidates=1, connections=8, server=name, form=wire.ITEM_IDS.name)
        compared = scoring_each(point)
        assert compared.server in names
        assert compared.server == f"{name.split(':')[0]}: {EACH}"
        assert (compared.candidates, compared.connections) == (1, 8)


def test_samples_of_one_candidate_have_one_row(subject: Subject) -> None:
    assert all(len(sample.rows) == 1 for sample in make_samples(subject.bundle, 1, 2))
