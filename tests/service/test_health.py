"""`python -m service.health` against real servers: ready, alive but not ready, silent, not there."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.health import LIVE, READY, main, problem


@contextmanager
def served(bundle: Path) -> Iterator[str]:
    """`host:port` of a service on this bundle."""
    command = [sys.executable, "-m", "service", "serve", "--port", "0", "--student-bundle", str(bundle)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            found = None
            while found is None:
                line = process.stdout.readline()
                assert line, "the service ended"
                found = re.search(r"127\.0\.0\.1:\d+", line)
            yield found[0]
        finally:
            process.terminate()
            process.stdout.read()


@pytest.fixture(scope="module")
def ready(bundles: Path) -> Iterator[str]:
    with served(bundles / "student") as address:
        yield address


@pytest.fixture(scope="module")
def unready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("no-bundle")) as address:
        yield address


@pytest.mark.parametrize("form", ["{}", "http://{}", "http://{}/"])
def test_a_ready_service_is_well(ready: str, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([form.format(ready)]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_service_without_a_bundle_is_unwell_and_one_line_says_why(
    unready: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([unready]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"error: {unready}/readyz: HTTP 503: ")
    assert "no-bundle" in said


def test_a_service_without_a_bundle_lives(unready: str) -> None:
    assert main([unready, "--live"]) == 0


def test_the_path_of_a_url_is_asked_instead(unready: str) -> None:
    assert problem(f"http://{unready}/metrics") is None
    assert "HTTP 404" in str(problem(f"http://{unready}/nowhere", LIVE))


def test_where_nobody_listens_nobody_is_well() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert problem(f"127.0.0.1:{port}", READY) == (
            f"127.0.0.1:{port}/readyz: ConnectionRefusedError: [Errno 111] Connection refused"
        )


def test_a_service_that_does_not_answer_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        said = problem(f"127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.1)
    assert "TimeoutError" in str(said)


@pytest.mark.parametrize("url", ["", "127.0.0.1:port", "[::1", "https://127.0.0.1:1"])
def test_what_is_no_address_is_one_line(url: str) -> None:
    said = problem(url, timeout_s=0.1)
    assert said
    assert "\n" not in said


def test_nothing_is_imported_but_the_standard_library() -> None:
    code = "import sys; before = set(sys.modules); import service.health; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    roots = {name.partition(".")[0] for name in loaded}
    assert "http" in roots
    assert roots - sys.stdlib_module_names == {"service"}
