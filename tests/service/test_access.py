from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import pytest

from service import access
from service.access import AccessLog
from service.bundle import Ids
from service.scoring import Logits, OnnxScorer

if TYPE_CHECKING:
    from tests.conftest import OpenClient

BODY = {"context": {"user": "u3", "hour": 13}, "items": ["i0", "i1"]}


class Broken(OnnxScorer):
    """Breaks once it is told to."""

    broken = False

    def score(self, context_ids: Ids, candidate_ids: Ids) -> Logits:
        if self.broken:
            raise RuntimeError("the runtime broke")
        return super().score(context_ids, candidate_ids)


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if record.name == "service.access"]


def test_a_request_that_is_answered_in_time_is_not_logged(
    open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = open_client(slow_ms=60_000.0)
    assert client.post("/predict", json=BODY).status_code == 200
    assert client.post("/predict", json={}).status_code == 422
    assert not told(caplog)


@pytest.mark.parametrize(("arm", "stages"), [("student", {"infer_ms"}), ("teacher", {"queue_ms", "infer_ms"})])
def test_a_slow_request_is_logged_with_its_stages(
    open_client: OpenClient, caplog: pytest.LogCaptureFixture, arm: str, stages: set[str]
) -> None:
    client = open_client(slow_ms=1e-6)
    client.post(f"/{arm}/predict", json=BODY)
    [line] = told(caplog)
    assert (line["status"], line["candidates"]) == (200, 2)
    [scored] = line["scored"]
    assert scored["arm"] == arm
    assert stages == set(scored) - {"arm"}
    assert 0 < line["read_ms"] < line["duration_ms"]
    assert sum(scored[stage] for stage in stages) < line["duration_ms"]
    assert line["message"].startswith(f"POST /{arm}/predict answered with 200 after ")


def test_an_answer_of_5xx_is_logged_whatever_it_took(open_client: OpenClient, caplog: pytest.LogCaptureFixture) -> None:
    client = open_client({"student": Broken})
    client.app.service_state.arms["student"].model.scorer.broken = True
    assert client.post("/predict", json=BODY).status_code == 500
    [line] = told(caplog)
    assert line["status"] == 500
    assert "candidates" not in line  # nobody asked for notes


def test_a_teacher_that_is_late_is_named(open_client: OpenClient, caplog: pytest.LogCaptureFixture) -> None:
    class Sleepy(OnnxScorer):
        asleep = False

        def score(self, context_ids: Ids, candidate_ids: Ids) -> Logits:
            time.sleep(0.2 * self.asleep)
            return super().score(context_ids, candidate_ids)

    client = open_client({"teacher": Sleepy}, teacher_timeout_ms=20.0, slow_ms=60_000.0)
    client.app.service_state.arms["teacher"].model.scorer.asleep = True
    assert client.post("/teacher/predict", json=BODY).status_code == 504
    [scored] = told(caplog)[0]["scored"]
    assert (scored["arm"], scored["failed"]) == ("teacher", "ProblemError")
    assert scored["wait_ms"] >= 20


def test_lines_are_bounded_and_those_left_out_are_counted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(access, "monotonic", lambda: now)
    log = AccessLog(None)
    for _ in range(access.MOST_PER_S + 7):
        log.note({"method": "GET"}, "/x", 503, 1.0, 0.5)
    assert len(told(caplog)) == access.MOST_PER_S
    now += 1
    log.note({"method": "GET"}, "/x", 503, 1.0, 0.5)
    log.note({"method": "GET"}, "/x", 503, 1.0, 0.5)
    assert [line.get("left_out") for line in told(caplog)[-2:]] == [7, None]


def test_nothing_stands_around_lanes_where_nobody_asks(open_client: OpenClient) -> None:
    assert [type(arm.lane).__name__ for arm in open_client().app.service_state.arms.values()] == [
        "StudentLane",
        "TeacherLane",
    ]
    assert logging.getLogger("service.access").level == logging.NOTSET
