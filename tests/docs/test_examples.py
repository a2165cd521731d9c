"""The examples in three languages, run against a service by way of a recorder.

They send what the guide's curl sends, over one connection, and stand in the guide as they are.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.docs.guides import ROOT, URL, Checkout, blocks_of, environment

GUIDE = (ROOT / "docs/ranking-engineer.md").read_text()
EXAMPLES = ROOT / "docs/examples"
PATIENT_MS = "30000"


@dataclass
class Recorder:
    """Passes requests on to a service, and keeps them."""

    url: str = ""
    connections: int = 0
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Path and body."""


def handler_of(recorder: Recorder, service: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            recorder.connections += 1
            super().setup()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            recorder.requests.append((self.path, json.loads(body)))
            upstream = http.client.HTTPConnection(urlsplit(service).netloc, timeout=20)
            upstream.request("POST", self.path, body, {"Content-Type": self.headers["Content-Type"]})
            answer = upstream.getresponse()
            content = answer.read()
            upstream.close()
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class has it
            """Say nothing."""

    return Handler


@pytest.fixture
def recorder(checkout: Checkout) -> Iterator[Recorder]:
    made = Recorder()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(made, checkout.url))
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def tool(name: str, package: str) -> str:
    """The path of a program, or the test is skipped; with REQUIRE_GO=1 and REQUIRE_JAVA=1 it fails instead."""
    found = shutil.which(name)
    if found is None:
        missing = f"there is no {name}; apt-get install {package}"
        (pytest.fail if os.environ.get(f"REQUIRE_{name.upper()}") else pytest.skip)(missing)
    return found


@pytest.fixture(params=["predict.py", "predict.go", "Predict.java"])
def command(request: pytest.FixtureRequest) -> list[str]:
    """How an example is run, up to its URL."""
    path = str(EXAMPLES / request.param)
    match request.param:
        case "predict.py":
            return [sys.executable, path]
        case "predict.go":
            return [tool("go", "golang-go"), "run", path]
        case _:
            return [tool("java", "default-jdk-headless"), path]


def bodies_of_curl(recorder: Recorder, checkout: Checkout) -> list[tuple[str, dict[str, Any]]]:
    """What the guide's first request and its feedback send."""
    shell = [block for block in blocks_of(GUIDE) if block.language == "sh"]
    for block in (shell[0], next(block for block in shell if "/feedback" in block.text)):
        Checkout(checkout.folder, recorder.url).run(block)
    sent, recorder.requests = recorder.requests, []
    recorder.connections = 0
    return sent


def without_ids(value: Any) -> Any:
    match value:
        case dict():
            return {key: without_ids(member) for key, member in value.items() if key != "request_id"}
        case list() | tuple():
            return [without_ids(member) for member in value]
        case _:
            return value


def test_an_example_sends_what_curl_sends_over_one_connection(
    recorder: Recorder, checkout: Checkout, command: list[str]
) -> None:
    expected = bodies_of_curl(recorder, checkout)
    ran = subprocess.run(
        [*command, recorder.url, PATIENT_MS],
        env=environment(),
        cwd=checkout.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.count("docs-student@") == 3
    assert without_ids(recorder.requests) == without_ids(expected * 3)
    answered = [body["events"][0]["request_id"] for path, body in recorder.requests if path == "/feedback"]
    assert len(set(answered)) == 3, "feedback refers to the answer, not to the guide's placeholder"
    assert recorder.connections == 1


@pytest.mark.parametrize(
    ("language", "name"), [("python", "predict.py"), ("go", "predict.go"), ("java", "Predict.java")]
)
def test_an_example_stands_in_the_guide_as_it_is(language: str, name: str) -> None:
    shown = [block.text for block in blocks_of(GUIDE) if block.language == language]
    example = (EXAMPLES / name).read_text().replace("sys.argv[1]", f'"{URL}"')
    assert example in shown
