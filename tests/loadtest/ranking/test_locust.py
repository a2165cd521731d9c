"""locust itself, headless, against a service that runs: what it exits with, what it writes."""

from __future__ import annotations

import csv
import os
import re
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from loadtest.bench.client import get
from loadtest.ranking.budget import Verdict
from loadtest.traffic.serve import Served

Locust = Callable[..., Any]
PATIENT = ("--own-lag-ms", "5000", "--own-cores", "50", "--timeout-s", "20")
"""So that only what a test is about can fail on a busy machine."""
STILL_S = 0.6


def test_an_open_loop_asks_at_its_rate_feeds_clicks_back_and_writes_its_reports(served: Served, locust: Locust) -> None:
    pid = str(served.service.processes[0])
    ended = locust(
        served.url,
        *PATIENT,
        "--p99-ms",
        "20000",
        "--feedback",
        "1",
        LOAD_STAGES="warm-up:0.5@40,low:1@50",
        LOAD_SERVER_PID=pid,
    )
    assert ended.code == Verdict.MET, ended.said
    assert "budget met" in ended.said
    warm_up, low = ended.figures["stages"]
    assert (warm_up["name"], warm_up["asked"], low["name"], low["asked"]) == ("warm-up", 20, "low", 50)
    assert low["errors"] == 0
    assert low["server_cores"] > 0
    assert 0 < low["p50_ms"] <= low["p95_ms"] <= low["p99_ms"] < 20_000
    became = warm_up["feedback"].get("accepted", 0) + low["feedback"].get("accepted", 0)
    # Four candidates in the median, at most ten shown: every one an impression, some of them clicked.
    assert became > 70
    assert set(warm_up["feedback"]) | set(low["feedback"]) == {"accepted"}
    with (ended.report / "stages.csv").open() as lines:
        assert [row["name"] for row in csv.DictReader(lines)] == ["warm-up", "low"]
    assert "<td>low</td>" in (ended.report / "report.html").read_text()


def test_what_was_due_while_the_service_stood_still_has_waited_for_all_of_it(served: Served, locust: Locust) -> None:
    """One connection, stopped service: a generator that waited for its answer before it asked on would see it once."""
    begun = predictions(served)
    with ThreadPoolExecutor(1) as beside:
        stood_still = beside.submit(stand_still, served, begun + 5)
        ended = locust(served.url, *PATIENT, "--stages", "low:3@50", "--connections", "1", "--feedback", "0")
        assert stood_still.result()
    assert ended.code == Verdict.MET, ended.said
    (low,) = ended.figures["stages"]
    assert low["asked"] == 150, "every request that was due is sent"
    assert low["late_waiting"] >= 0.8 * 50 * STILL_S
    # A fifth of all were due meanwhile, and waited for half of it in the mean; a twentieth for at least 0.75 of it.
    assert low["p95_ms"] > 0.6 * STILL_S * 1e3


def stand_still(served: Served, predictions_wanted: int) -> bool:
    """Stop the service for STILL_S as soon as it has answered so much."""
    deadline = time.monotonic() + 30
    while predictions(served) < predictions_wanted:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    (pid,) = served.service.processes
    os.kill(pid, signal.SIGSTOP)
    time.sleep(STILL_S)
    os.kill(pid, signal.SIGCONT)
    return True


def predictions(served: Served) -> int:
    """How many the service has answered."""
    text = get(served.service.port, "/metrics").body.decode()
    found = re.findall(
        r'^ctr_request_duration_seconds_count{.*route="/predict",status_class="2xx"} (.+)$', text, re.MULTILINE
    )
    return round(sum(map(float, found)))


def test_a_budget_that_nobody_can_meet_is_missed(served: Served, locust: Locust) -> None:
    ended = locust(served.url, *PATIENT, "--stages", "low:0.6@30", "--p99-ms", "0.0011")
    assert ended.code == Verdict.MISSED, ended.said
    assert "expected at most 0.0011" in ended.said


def test_wrong_answers_miss_the_budget_of_errors(served: Served, locust: Locust) -> None:
    ended = locust(served.url, *PATIENT, "--stages", "low:0.6@30", "--predict-path", "/no/predict")
    assert ended.code == Verdict.MISSED, ended.said
    assert "status 404 not-found x 18" in ended.said


def test_a_busy_generator_makes_a_closed_loop_no_result(served: Served, locust: Locust) -> None:
    """Whoever has asked thinks for the rest of the run, so that requests are users: two, and then four more."""
    options = (
        "--loop",
        "closed",
        "--think-s",
        "10000000",
        "--stages",
        "few:1.5@2,more:1.5@6",
        "--own-cores",
        "0.00001",
    )
    ended = locust(served.url, *options, "--own-lag-ms", "5000", "--feedback", "0")
    assert ended.code == Verdict.NOT_VALID, ended.said
    assert "result not valid: the generator was the bottleneck" in " ".join(ended.said.split())
    assert "of its core, expected at most 1e-05" in ended.said
    few, more = ended.figures["stages"]
    assert (few["asked"], more["asked"]) == (2, 4)
    assert few["errors"] == more["errors"] == 0


def test_a_service_that_is_down_ends_the_run_with_one_line(locust: Locust) -> None:
    ended = locust("http://127.0.0.1:9")
    assert ended.code == Verdict.NOT_STARTED, ended.said
    assert "expected a service there, start it or correct --host" in ended.said
    assert "Traceback" not in ended.said
