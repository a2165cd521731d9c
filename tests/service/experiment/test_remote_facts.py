from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from service.app import create_app
from service.events.urls import open_store
from service.experiment import remote_facts
from service.experiment.model_facts import ModelFacts, read_models
from service.experiment.remote_facts import facts_in
from service.settings import Settings

WHOLE = {"model": "t@v1", "flops": {"effective": 5.0, "executed": 10}}


@pytest.fixture
def teacher_listener(bundles: Path) -> Iterator[tuple[socket.socket, uvicorn.Server]]:
    """A port, and the teacher's service that is to answer on it once it is run."""
    app = create_app(Settings(student_bundle=bundles / "teacher", teacher_bundle=None))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener, uvicorn.Server(uvicorn.Config(app, lifespan="on", log_config=None, access_log=False))


def test_the_cost_of_another_services_model_is_stored_even_if_it_comes_up_later(
    open_client: Any, teacher_listener: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_facts, "RETRY_S", 0.05)
    listener, server = teacher_listener
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/student/predict"
    events = f"sqlite:{tmp_path}/events.sqlite3"
    settings = {"events": events, "arms": {"teacher": url}, "teacher_timeout_ms": 200}
    router = open_client(**settings)
    router.run(asyncio.sleep(0.3))  # nobody answers yet
    store = open_store(events, attribution_ms=1000)
    assert read_models(store).keys() == {"tiny-student@v1"}
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    deadline = time.monotonic() + 20
    while "tiny-teacher@v1" not in read_models(store):
        assert time.monotonic() < deadline
        router.run(asyncio.sleep(0.05))
    assert read_models(store)["tiny-teacher@v1"].flops_effective == 5000.0
    store.close()
    server.should_exit = True
    thread.join(20)


@pytest.mark.parametrize(
    "described",
    [None, [], {}, {"arms": 3}, {"arms": {"a": None}}, {"arms": {"a": {**WHOLE, "flops": {"effective": "x"}}}}],
)
def test_an_answer_of_another_kind_gives_no_facts(described: Any) -> None:
    assert facts_in(described) == {}


def test_what_is_not_as_expected_does_not_hide_what_is() -> None:
    found = facts_in({"arms": {"a": {"model": "s@v1"}, "b": WHOLE}})
    assert found == {"t@v1": ModelFacts(flops_effective=5.0, flops_executed=10.0)}
