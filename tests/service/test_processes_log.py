"""Logs of a whole service: supervisor, workers and their shadows, as a collector of logs gets them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers share the port as Linux has it")

UNIT, CONTEXT, TOKEN = "unit-of-somebody", "u3-who-is-nobody", "let-me-in-please"
WAIT_S = 30.0
DOCUMENT = """
[[experiments]]
name = "a"
arms = [{name = "student", weight = 1}, {name = "far", weight = 9999}]
[shadow]
share = 1.0
models = ["student", "far"]
"""
BODY = {"unit": UNIT, "context": {"user": CONTEXT, "hour": 13}, "items": ["i0", "i1"]}


@contextmanager
def service(bundles: Path, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Its URL and the file of everything it says, at level debug; an arm of it is far away and gone."""
    (tmp_path / "document.toml").write_text(DOCUMENT)
    variables = {
        "CTR_LOG_FORMAT": "json",
        "CTR_LOG_LEVEL": "debug",
        "CTR_SLOW_MS": "0.000001",
        "CTR_ADMIN_TOKEN": TOKEN,
        "CTR_TOKEN_KEY": TOKEN,
        "CTR_EVENTS": f"sqlite:{tmp_path / 'e.db'}",
        "CTR_EXPERIMENT": str(tmp_path / "document.toml"),
        "CTR_ARMS": json.dumps({"far": "http://127.0.0.1:9/student/predict"}),
    }
    options = [f"--{arm}-bundle={bundles / arm}" for arm in ("student", "teacher")]
    command = [sys.executable, "-m", "service", "serve", "--port", "0", "--workers", "2", *options]
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **variables})
    try:
        yield wait_for(lambda: greeting(log), process), log
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
    finally:
        process.kill()
        process.wait()


def wait_for(asked: Any, process: subprocess.Popen[bytes] | None = None) -> Any:
    """What `asked` returns once that is something."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline and (process is None or process.poll() is None):
        if found := asked():
            return found
        time.sleep(0.05)
    raise AssertionError(f"nothing within {WAIT_S} s: {asked}")


def lines(log: Path) -> list[dict[str, Any]]:
    """Everything that was written, line by line; each must be an object."""
    return [json.loads(line) for line in log.read_text().split("\n")[:-1]]  # what follows is still being written


def greeting(log: Path) -> str | None:
    said = [line["event"] for line in lines(log) if line["event"].startswith("serving ")]
    return said[0].splitlines()[0].rpartition(" on ")[2] if said else None


def test_everything_is_json_from_every_process_and_no_secret_or_context_is_in_it(bundles: Path, tmp_path: Path) -> None:
    with service(bundles, tmp_path) as (url, log):

        def ask() -> httpx.Response:
            return httpx.post(f"{url}/predict", json=BODY, headers={"x-request-id": "r-1"})  # a connection each

        assert ask().json()["fallback"] is True
        assert httpx.post(f"{url}/predict", json={**BODY, "extra": CONTEXT}).status_code == 422
        assert httpx.post(f"{url}/predict?unit={UNIT}", content=b"{").status_code == 415
        assert httpx.put(f"{url}/experiment", headers={"authorization": f"Bearer {TOKEN}x"}).status_code == 401
        events = {"events": [{"request_id": "r-1", "item": "i0", "type": "click", "token": f"{TOKEN}.forged"}]}
        assert httpx.post(f"{url}/feedback", json=events).status_code == 403
        wait_for(lambda: ask() and [line for line in lines(log) if line["event"].startswith("not compared")])
    said = lines(log)
    assert {line["process"] for line in said} >= {"supervisor", "worker", "shadow", "service"}
    [fallback, *_] = [line for line in said if line["event"] == "fallback: far: unreachable"]
    assert (fallback["request_id"], fallback["arm"], fallback["path"]) == ("r-1", "far", "/predict")
    [slow, *_] = [line for line in said if line["logger"] == "service.access" and line.get("scored")]
    assert [scored["arm"] for scored in slow["scored"]] == ["far", "student"]
    [compared, *_] = [line for line in said if line["event"].startswith("not compared")]
    assert (compared["request_id"], compared["process"]) == ("r-1", "shadow")
    text = log.read_text()
    for private in (UNIT, CONTEXT, TOKEN):
        assert private not in text
