"""Points against real server processes: what is refused is reported, what is wrong is not measured."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.bench import wire
from loadtest.bench.bundles import Subject
from loadtest.bench.inprocess import BEST_GRAPH, NATIVE, ROWS_GRAPH, time_in_process
from loadtest.bench.measure import Bench
from loadtest.bench.points import Point, centre_plan, full_plan
from loadtest.bench.servers import ONNXRUNTIME, REFERENCE, Server, running, servers
from loadtest.bench.wire import Message, Sample, WireForm
from loadtest.bench.wrk import LoadError, installed
from loadtest.launch import Endpoint
from service.scoring.native_scorer import NotBuiltError, extension

STRANGE = dataclasses.replace(
    wire.ITEM_IDS,
    name="strange",
    write=lambda sample: Message(b'{"strange": 1}', wire.ITEM_IDS.write(sample).headers),
)
SWAPPED = dataclasses.replace(
    wire.ID_ROWS, name="swapped", read=lambda headers, body: wire.ID_ROWS.read(headers, body)[::-1]
)


def at(server: str, form: WireForm, candidates: int = 5) -> Point:
    return Point(candidates=candidates, connections=1, server=server, form=form.name)


@pytest.fixture(scope="module")
def started(subject: Subject) -> tuple[Server, ...]:
    """Our server with onnxruntime and the reference, each with a form that cannot be measured."""
    more = {ONNXRUNTIME: STRANGE, REFERENCE: SWAPPED}
    return tuple(
        dataclasses.replace(server, forms=(*server.forms, more[server.name]))
        for server in servers(subject)
        if server.name in more
    )


@pytest.fixture(scope="module")
def endpoints(started: tuple[Server, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Endpoint]]:
    core = min(os.sched_getaffinity(0))
    with running(started, core, tmp_path_factory.mktemp("logs")) as found:
        yield found


@pytest.fixture(scope="module")
def bench(subject: Subject, started: tuple[Server, ...], tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(subject, started, tmp_path_factory.mktemp("requests"), seconds=1)


def test_a_form_that_the_server_refuses_is_reported(bench: Bench, endpoints: dict[str, Endpoint]) -> None:
    outcome = bench.measure(at(ONNXRUNTIME, STRANGE), endpoints[ONNXRUNTIME], 0)
    assert outcome.load is None
    assert outcome.failure is not None
    assert outcome.failure.startswith("not supported: ")
    assert "strange" in outcome.failure


def test_wrong_probabilities_are_not_measured(bench: Bench, endpoints: dict[str, Endpoint]) -> None:
    outcome = bench.measure(at(REFERENCE, SWAPPED), endpoints[REFERENCE], 0)
    assert outcome.load is None
    assert outcome.failure is not None
    assert "probabilities are off by" in outcome.failure


@pytest.mark.skipif(not installed(), reason="wrk is not installed")
@pytest.mark.parametrize(("server", "form"), [(ONNXRUNTIME, wire.ITEM_IDS), (REFERENCE, wire.ID_ROWS)])
def test_a_point_has_a_load_and_ours_has_stages(
    bench: Bench, endpoints: dict[str, Endpoint], server: str, form: WireForm
) -> None:
    outcome = bench.measure(at(server, form), endpoints[server], 0)
    assert outcome.failure is None
    assert outcome.load is not None
    assert outcome.load.requests_per_s > 1
    assert outcome.cpu_us > 0
    assert set(outcome.stages_us) == (
        {"receive", "decode", "encode", "infer", "respond"} if server == ONNXRUNTIME else set()
    )


def test_half_load_is_measured_at_the_rate_asked_for(bench: Bench, endpoints: dict[str, Endpoint]) -> None:
    steady = bench.steady(at(ONNXRUNTIME, wire.ITEM_IDS), endpoints[ONNXRUNTIME], 0, rate=20.0)
    assert steady.rate == 20.0
    assert 0 < steady.p50_ms <= steady.p99_ms


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    broken = Server(name="broken", command=("-m", "loadtest.bench.apps", "nonsense", "--graph", "x"), forms=())
    with pytest.raises(LoadError, match="nonsense"), running((broken,), min(os.sched_getaffinity(0)), tmp_path):
        pass


def test_every_contender_is_timed_in_process(subject: Subject, samples: list[Sample]) -> None:
    try:
        extension()
        expected = {ROWS_GRAPH, BEST_GRAPH, NATIVE}
    except NotBuiltError:
        expected = {ROWS_GRAPH, BEST_GRAPH}
    took = time_in_process(subject, samples, rounds=1)
    assert set(took) == expected
    assert all(us > 0 for us in took.values())


def test_plans_ask_every_server_for_forms_it_has(subject: Subject) -> None:
    forms = {(server.name, form.name) for server in servers(subject) for form in server.forms}
    for plan in (full_plan(), centre_plan()):
        assert len(plan) == len(set(plan))
        assert {(point.server, point.form) for point in plan} == forms
