"""The service as its users start it: a process, a port, a curl line."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.bundle import Bundle
from service.greeting import base_url, curl_line

COMMAND = [sys.executable, "-m", "service", "serve"]


def environment(**variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CTR_")}
    return {**inherited, **variables}


@contextmanager
def serving(*options: str, lines: int = 3) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A running service on a free port and the lines it printed when it was ready."""
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", *options], stdout=subprocess.PIPE, text=True, env=environment()
    )
    try:
        assert process.stdout is not None
        yield process, [process.stdout.readline().rstrip("\n") for _ in range(lines)]
    finally:
        process.kill()
        process.communicate()


def run(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *options], capture_output=True, text=True, timeout=60, check=False, env=environment(**variables)
    )


def send_as_curl_would(line: str) -> dict:
    """Send what a printed curl line would send."""
    words = shlex.split(line)
    assert words[:2] == ["curl", "-s"]
    name, _, value = words[words.index("-H") + 1].partition(": ")
    request = urllib.request.Request(words[2], words[words.index("-d") + 1].encode(), {name: value})
    with urllib.request.urlopen(request, timeout=10) as response:
        answer: dict = json.load(response)
        return answer


def test_the_printed_curl_line_works_and_a_stop_is_no_failure(bundles: Path, bundle: Bundle) -> None:
    with serving("--student-bundle", str(bundles / "student")) as (process, (serving_line, curl, metrics)):
        assert serving_line.startswith("serving tiny-student@v1 on http://127.0.0.1:")
        answer = send_as_curl_would(curl)
        assert answer["probabilities"] == pytest.approx(bundle.example["probabilities"][:3], abs=1e-5)
        assert '"items"' in curl
        with urllib.request.urlopen(metrics.removeprefix("metrics: "), timeout=10) as response:
            assert b'ctr_candidates_total{model="tiny-student@v1"} 3.0' in response.read()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_without_a_catalogue_the_curl_line_has_columns(bundles: Path, bundle: Bundle) -> None:
    with serving("--student-bundle", str(bundles / "no-catalogue")) as (_, (_, curl, _)):
        assert '"candidates"' in curl
        answer = send_as_curl_would(curl)
        assert answer["probabilities"] == pytest.approx(bundle.example["probabilities"][:3], abs=1e-5)


def test_a_bad_bundle_is_said_and_the_process_lives(tmp_path: Path) -> None:
    with serving("--student-bundle", str(tmp_path), lines=2) as (process, (reason, metrics)):
        assert reason.startswith(f"not ready: no student answers: {tmp_path}: neither CURRENT nor manifest.json found")
        url = metrics.removeprefix("metrics: ").removesuffix("/metrics")
        with urllib.request.urlopen(f"{url}/healthz", timeout=10) as response:
            assert response.status == 200
        assert process.poll() is None


def test_a_port_in_use_is_one_line_and_a_failure(bundles: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("--port", str(port), "--student-bundle", str(bundles / "student"))
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: cannot listen on 127.0.0.1 port {port}: Address already in use; ")
    assert ended.stderr.count("\n") == 1
    assert "--port" in ended.stderr


def test_a_bundle_path_that_is_no_directory_is_one_line_and_a_failure(tmp_path: Path) -> None:
    ended = run("--student-bundle", str(tmp_path / "nowhere"))
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: student bundle: {tmp_path / 'nowhere'} is no directory, expected ")
    assert ended.stderr.count("\n") == 1


def test_a_wrong_variable_is_one_line_and_a_failure() -> None:
    ended = run(CTR_PORT="abc")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: CTR_PORT: got 'abc', expected ")
    assert ended.stderr.count("\n") == 1


def test_a_curl_line_survives_quotes_and_other_scripts(bundle: Bundle) -> None:
    example = {
        "context": {"user": 'o\'brien "x" $HOME', "hour": 3},
        "candidates": {"item": ["日本語's", "b", "c", "d"], "category": ["x"] * 4, "price": [1] * 4},
        "probabilities": [0.5] * 4,
    }
    words = shlex.split(curl_line(dataclasses.replace(bundle, example=example), "http://h:1"))
    body = json.loads(words[words.index("-d") + 1])
    assert body["context"] == example["context"]
    assert body["candidates"]["item"] == ["日本語's", "b", "c"]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104 - not bound
        ("::", "http://[::1]:80"),
        ("example.org", "http://example.org:80"),
    ],
)
def test_the_printed_url_is_one_that_can_be_reached(host: str, url: str) -> None:
    assert base_url(host, 80) == url
