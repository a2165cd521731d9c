from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from service import logs
from service.bundle import Ids
from service.scoring import Logits, OnnxScorer

if TYPE_CHECKING:
    from tests.conftest import OpenClient

BODY = {"context": {"user": "u3", "hour": 13}, "items": ["i0", "i1"]}
logger = logging.getLogger("test.of.logs")
Written = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def output() -> Iterator[Callable[[logs.Format], io.StringIO]]:
    """Has everything that is logged written in a form, to a stream that it returns."""
    root, handlers = logging.getLogger(), []

    def write_to(form: logs.Format) -> io.StringIO:
        stream = io.StringIO()
        handlers.append(logging.StreamHandler(stream))
        handlers[-1].setFormatter(logs.formatter(form, "tested"))
        root.addHandler(handlers[-1])
        return stream

    before = root.level
    root.setLevel("INFO")
    yield write_to
    root.setLevel(before)
    for handler in handlers:
        root.removeHandler(handler)


@pytest.fixture
def written(output: Callable[[logs.Format], io.StringIO]) -> Written:
    """What has been logged, read from JSON."""
    stream = output("json")
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def fail() -> None:
    try:
        int("no number")
    except ValueError:
        logger.exception("it %s", "failed")


def test_a_line_of_json_says_when_who_and_what(written: Written) -> None:
    logger.warning("%d of %d", 1, 2, extra={"share": 0.5, "where": "a\nb"})
    [line] = written()
    assert line["timestamp"].endswith("Z")
    assert "T" in line["timestamp"]
    assert isinstance(line["pid"], int)
    said = {"level": "warning", "logger": "test.of.logs", "event": "1 of 2", "process": "tested", "share": 0.5}
    assert said.items() <= line.items()
    assert line["where"] == "a\nb"
    assert "request_id" not in line


def test_an_exception_is_one_string_of_its_line(written: Written) -> None:
    fail()
    [line] = written()
    assert line["event"] == "it failed"
    assert line["exception"].startswith("Traceback")
    assert "ValueError: invalid literal" in line["exception"]


def test_what_json_does_not_know_is_still_logged(written: Written) -> None:
    logger.warning("odd", extra={"path": pytest, "surrogate": "\udcff", "number": np.float32(1)})
    assert written()[0]["surrogate"] == "\udcff"


def test_a_quoted_line_break_cannot_forge_a_line_of_text(output: Callable[[logs.Format], io.StringIO]) -> None:
    stream = output("text")
    logger.warning("got %s", "x\n2026-01-01T00:00:00Z [critical] \x1b[2Jall is lost")
    first, second = stream.getvalue().splitlines()
    assert "[warning] got x" in first
    assert second.startswith("    2026-01-01T00:00:00Z [critical] \\x1b[2J")


def test_text_shows_a_trace_as_python_does(output: Callable[[logs.Format], io.StringIO]) -> None:
    stream = output("text")
    fail()
    assert "[error] it failed" in stream.getvalue()
    assert stream.getvalue().rstrip().endswith("ValueError: invalid literal for int() with base 10: 'no number'")


class Talkative(OnnxScorer):
    """Logs whenever it scores, in whichever thread that is."""

    def score(self, context_ids: Ids, candidate_ids: Ids) -> Logits:
        logger.warning("scoring")
        return super().score(context_ids, candidate_ids)


@pytest.mark.parametrize(
    ("arm", "inline"), [("student", 10**9), ("student", 0), ("teacher", 0)], ids=["loop", "student's", "teacher's"]
)
def test_whatever_a_request_logs_has_its_id_on_every_thread(
    open_client: OpenClient, written: Written, arm: str, inline: int
) -> None:
    client = open_client({arm: Talkative}, inline_multiplications=inline)
    before = len(written())
    client.post(f"/{arm}/predict", json=BODY, headers={"x-request-id": "first"})
    client.post(f"/{arm}/predict", json={**BODY, "request_id": "second"})
    lines = [line for line in written()[before:] if line["event"] == "scoring"]
    assert [(line["request_id"], line["arm"], line["path"]) for line in lines] == [
        ("first", arm, f"/{arm}/predict"),
        ("second", arm, f"/{arm}/predict"),
    ]


def test_what_is_logged_outside_of_requests_has_no_id(open_client: OpenClient, written: Written) -> None:
    client = open_client()
    client.post("/predict", json=BODY)
    logger.warning("idle")
    assert "request_id" not in written()[-1]


PROGRAM = """
import threading, warnings
from service import logs
logs.configure("info", "json", "probe")
warnings.warn("old")
thread = threading.Thread(target=lambda: 1 / 0, name="worker-7")
thread.start()
thread.join()
raise RuntimeError("the end")
"""


def test_warnings_and_uncaught_exceptions_are_lines_like_others() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    warning, thread, end = (json.loads(line) for line in ended.stderr.splitlines())
    assert ended.returncode == 1
    assert warning["logger"] == "py.warnings"
    assert "UserWarning: old" in warning["event"]
    assert thread["event"] == "thread worker-7 ends by an exception"
    assert "ZeroDivisionError" in thread["exception"]
    assert (end["level"], end["process"]) == ("critical", "probe")
    assert end["exception"].endswith("RuntimeError: the end")
