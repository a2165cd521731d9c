"""A small model to measure, made once, and apps that are asked without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest
from starlette.types import ASGIApp

from export.bench_shapes import Shape
from loadtest.bench.bundles import Subject, make_subject
from loadtest.bench.wire import Sample, WireForm, make_samples
from service.app import create_app
from service.settings import Settings

SHAPE = Shape(label="tiny", fields=5, context=2, values=100)


@pytest.fixture(scope="session")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return make_subject(SHAPE, tmp_path_factory.mktemp("bench"), items=50)


@pytest.fixture(scope="session")
def samples(subject: Subject) -> list[Sample]:
    """Three requests of seven candidates."""
    return make_samples(subject.bundle, 7, 3)


def raw(request: bytes) -> tuple[str, str, dict[str, str], bytes]:
    """Method, path, headers and body of whole HTTP/1.1 bytes."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, path, _version = first.split(" ")
    return method, path, dict(line.split(": ", 1) for line in lines), body


Ask = Callable[[WireForm, Sample], list[float]]


class Asked:
    """An app without a socket, its lifespan open."""

    def __init__(self, app: ASGIApp, stack: ExitStack) -> None:
        self._app = app
        self._runner = stack.enter_context(asyncio.Runner())

    def send(self, request: bytes) -> httpx.Response:
        async def exchange() -> httpx.Response:
            method, path, headers, body = raw(request)
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as session:
                return await session.request(method, path, headers=headers, content=body)

        return self._runner.run(exchange())

    def probabilities(self, form: WireForm, sample: Sample) -> list[float]:
        """What the app answers; fails unless it is a 200."""
        response = self.send(form.request(sample))
        assert response.status_code == 200, response.text
        return form.read(response.headers, response.content)


@pytest.fixture(scope="session")
def ask() -> Iterator[Callable[[ASGIApp], Asked]]:
    """Makes an app one that can be asked."""
    with ExitStack() as stack:
        yield lambda app: Asked(app, stack)


@pytest.fixture(scope="session")
def service(subject: Subject) -> Iterator[Asked]:
    """The service itself, over the small model."""
    app = create_app(Settings(student_bundle=subject.root, teacher_bundle=None))
    with ExitStack() as stack:
        asked = Asked(app, stack)
        lifespan = app.router.lifespan_context(app)
        asked._runner.run(lifespan.__aenter__())
        yield asked
        asked._runner.run(lifespan.__aexit__(None, None, None))
