"""One point: its requests are checked, then sent by wrk; for our servers the stages are read around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from loadtest.bench.apps import RowsModel
from loadtest.bench.bundles import Subject
from loadtest.bench.client import Answer, Connection, get, steady_latencies
from loadtest.bench.points import Point
from loadtest.bench.servers import EMPTY, OURS, Server
from loadtest.bench.stages import StageSums, microseconds_between, read_stages
from loadtest.bench.wire import Sample, WireForm, make_samples
from loadtest.bench.wrk import Load, LoadError, run_wrk, write_requests
from loadtest.launch import Endpoint

TOLERANCE = 1e-5
"""Largest accepted gap between an answered probability and the rows graph's."""
NOT_SUPPORTED = "not supported"
_OK, _REFUSED = 200, (404, 422)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one point in one repetition."""

    point: Point
    repetition: int
    load: Load | None = None
    request_bytes: int = 0
    cpu_us: float = 0.0
    """Processor time of the server per request: what other processes on its core do not stretch."""
    stages_us: Mapping[str, float] = field(default_factory=dict)
    """Stage → mean microseconds per request; empty for servers other than ours."""
    failure: str | None = None
    """Why there is no load."""


@dataclass(frozen=True, kw_only=True)
class Steady:
    """One connection at half the rate it can take."""

    server: str
    form: str
    repetition: int
    rate: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Requests:
    """One form's requests, in memory and as files."""

    samples: Sequence[Sample]
    requests: Sequence[bytes]
    folder: Path


class Bench:
    """Measures the points of one subject.

    Args:
        subject: the model.
        started: the servers that run.
        folder: for the files with requests.
        seconds: of every point.
    """

    def __init__(self, subject: Subject, started: Sequence[Server], folder: Path, seconds: int) -> None:
        self._subject = subject
        self._forms = {(server.name, form.name): form for server in started for form in server.forms}
        self._folder = folder
        self._seconds = seconds
        self._samples: dict[int, list[Sample]] = {}
        self._requests: dict[tuple[str, str, int], Requests] = {}

    @cached_property
    def _model(self) -> RowsModel:
        return RowsModel(self._subject.rows_graph)

    def measure(self, point: Point, endpoint: Endpoint, repetition: int) -> Outcome:
        """One point; what goes wrong is its failure, never the end of the run."""
        requests, port = self._requests_of(point), endpoint.port
        size = round(float(np.mean([len(request) for request in requests.requests])))
        try:
            refused = self._check(point, port, requests)
            if refused is not None:
                return Outcome(point=point, repetition=repetition, failure=refused)
            before, cpu_before = _stages(point, port), endpoint.cpu_seconds()
            load = run_wrk(
                port,
                requests.folder,
                len(requests.requests),
                connections=point.connections,
                seconds=self._seconds,
            )
            cpu_us = (endpoint.cpu_seconds() - cpu_before) / load.requests * 1e6
            stages_us = microseconds_between(before, _stages(point, port))
        except (LoadError, OSError) as error:
            return Outcome(point=point, repetition=repetition, failure=str(error))
        return Outcome(
            point=point, repetition=repetition, load=load, request_bytes=size, cpu_us=cpu_us, stages_us=stages_us
        )

    def steady(self, point: Point, endpoint: Endpoint, repetition: int, rate: float) -> Steady:
        """The requests of `point` on one connection at a constant `rate` per second; raises LoadError."""
        requests = self._requests_of(point).requests
        try:
            found = steady_latencies(endpoint.port, requests, rate=rate, seconds=float(self._seconds))
        except OSError as error:
            raise LoadError(f"{point.server}, {point.form} at a constant rate: {error}") from error
        p50_ms, p99_ms = np.percentile(found, [50, 99]).tolist()
        return Steady(
            server=point.server, form=point.form, repetition=repetition, rate=rate, p50_ms=p50_ms, p99_ms=p99_ms
        )

    def samples(self, candidates: int) -> list[Sample]:
        """The samples of N candidates that every form is written from."""
        if candidates not in self._samples:
            self._samples[candidates] = make_samples(self._subject.bundle, candidates)
        return self._samples[candidates]

    def _form(self, point: Point) -> WireForm:
        return self._forms[point.server, point.form]

    def _requests_of(self, point: Point) -> Requests:
        form = self._form(point)
        key = (form.path, form.name, point.candidates)
        if key not in self._requests:
            samples = self.samples(point.candidates)
            requests = [form.request(sample) for sample in samples]
            folder = self._folder / f"requests-{len(self._requests)}"
            write_requests(folder, requests)
            self._requests[key] = Requests(samples, requests, folder)
        return self._requests[key]

    def _check(self, point: Point, port: int, requests: Requests) -> str | None:
        """Send every request once, which also warms up; NOT_SUPPORTED if the form is refused.

        Raises:
            LoadError: an answer is an error, or the first one has other probabilities than the rows graph.
        """
        with Connection(port) as connection:
            answers = [connection.exchange(request) for request in requests.requests]
        for answer in answers:
            if answer.status in _REFUSED:
                return f"{NOT_SUPPORTED}: {answer.body[:200].decode(errors='replace')}"
            if answer.status != _OK:
                raise LoadError(f"got {answer.status}, expected {_OK}: {answer.body[:200]!r}")
        if point.server != EMPTY:
            self._check_probabilities(self._form(point), answers[0], requests.samples[0])
        return None

    def _check_probabilities(self, form: WireForm, answer: Answer, sample: Sample) -> None:
        got_N = np.array(form.read(answer.headers, answer.body))
        expected_N = self._model.probabilities(sample.rows)
        gap = float(np.abs(got_N - expected_N).max()) if got_N.shape == expected_N.shape else np.inf
        if not gap <= TOLERANCE:
            raise LoadError(f"{form.name}: probabilities are off by {gap:.2g}, expected at most {TOLERANCE:g}")


def _stages(point: Point, port: int) -> StageSums:
    """The stage sums of our servers, none of others."""
    if point.server not in OURS:
        return StageSums({}, {})
    return read_stages(get(port, "/metrics").body.decode())
