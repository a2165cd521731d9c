from __future__ import annotations

import asyncio
import sqlite3
import struct
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.bundle import Ids
from service.events.records import FeedbackEvent
from service.events.stamps import unit_hash
from service.scoring import Logits, OnnxScorer

TOKEN = "let me in"  # noqa: S105 - the tests' own
ADMIN = {"authorization": f"Bearer {TOKEN}"}
ARMS = [{"name": "student", "weight": 5000}, {"name": "teacher", "weight": 5000}]
BODY = {"context": {"user": "u3", "hour": 13}, "items": ["i1", "i2", "i3"]}


BARRIER = FeedbackEvent("barrier", "#0", "impression", None, 0)


class Moody(OnnxScorer):
    """Does as its class is told: hangs, breaks, or gives NaN; at peace while it is loaded."""

    hang_s = 0.0
    breaks = False
    nan = False

    def score(self, context_ids: Ids, candidate_ids: Ids) -> Logits:
        time.sleep(self.hang_s)
        if self.breaks:
            raise RuntimeError("the runtime broke")
        logits_N = super().score(context_ids, candidate_ids)
        return logits_N * np.float32("nan") if self.nan else logits_N


class Service:
    """A client, the event store's file, and the moods of the teacher."""

    def __init__(self, client: Any, path: Path) -> None:
        self.client = client
        self.path = path
        teacher = client.app.service_state.arms.get("teacher")
        self.teacher = None if teacher is None else teacher.model.scorer

    def put(self, **changes: Any) -> None:
        document = {"experiments": [{"name": "a", "arms": ARMS, **changes}]}
        answer = self.client.request("PUT", "/experiment", json=document, headers=ADMIN)
        assert answer.status_code == 200, answer.text

    def ask(self, unit: str | None, headers: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        body = {**BODY, **more} if unit is None else {"unit": unit, **BODY, **more}
        answer = self.client.post("/predict", json=body, headers=headers or {})
        assert answer.status_code == 200, answer.text
        decoded: dict[str, Any] = answer.json()
        return decoded

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Rows of the store, once the writer has nothing left to write."""
        log = self.client.app.service_state.running.log
        with ThreadPoolExecutor() as elsewhere:  # feedback is acknowledged once all that was logged before is stored
            elsewhere.submit(asyncio.run, log.feedback([BARRIER])).result()
        with sqlite3.connect(self.path) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query)]

    def unit_of(self, arm: str) -> str:
        """A unit of that arm."""
        return next(f"v{i}" for i in range(100) if self.ask(f"v{i}")["arm"] == arm)


@pytest.fixture
def open_service(open_client: Any, tmp_path: Path) -> Callable[..., Service]:
    def open_one(**settings: Any) -> Service:
        path = tmp_path / "events.sqlite3"
        given = {"events": f"sqlite:{path}", "admin_token": TOKEN, **settings}
        return Service(open_client({"teacher": Moody}, **given), path)

    return open_one


@pytest.fixture
def service(open_service: Callable[..., Service]) -> Service:
    opened = open_service(teacher_timeout_ms=150)
    opened.put()
    return opened


def test_every_unit_keeps_its_arm_and_is_answered_by_its_model(service: Service) -> None:
    answers = [service.ask(f"u{i % 40}") for i in range(120)]
    arms = {}
    for i, answer in enumerate(answers):
        assert arms.setdefault(i % 40, answer["arm"]) == answer["arm"]
        assert answer["model"] == f"tiny-{answer['arm']}@v1"
        assert not answer["fallback"]
        forced = service.client.post(f"/{answer['arm']}/predict", json=BODY).json()
        assert answer["probabilities"] == forced["probabilities"]
    assert set(arms.values()) == {"student", "teacher"}


def test_every_request_with_a_unit_has_one_exposure_and_one_answer(service: Service) -> None:
    answers = [service.ask(f"u{i}", request_id=f"r{i}") for i in range(60)]
    exposures = {row["request_id"]: row for row in service.rows("SELECT * FROM exposure")}
    logged = {row["request_id"]: row for row in service.rows("SELECT * FROM answer")}
    assert len(exposures) == len(logged) == 60
    key = service.client.app.service_state.running.unit_key
    for i, answer in enumerate(answers):
        exposure, stored = exposures[f"r{i}"], logged[f"r{i}"]
        expected = ("a", 1, 1, answer["arm"], 0.5, "assigned", 3, None)
        columns = ("experiment", "phase", "revision", "arm", "propensity", "reason", "n_candidates", "unit")
        assert tuple(exposure[column] for column in columns) == expected
        assert exposure["unit_hash"] == unit_hash(f"u{i}", key)
        assert (stored["model"], stored["fallback"], stored["status"]) == (answer["model"], 0, 200)
        assert list(struct.unpack("<3f", stored["probabilities"])) == pytest.approx(answer["probabilities"], abs=1e-7)
        assert stored["items"] == b'["i1","i2","i3"]'
        assert 0 < stored["latency_us"] < 5e6


def test_exposures_sort_by_the_time_they_were_made(service: Service) -> None:
    for i in range(5):
        service.ask(f"u{i}")
        time.sleep(0.002)
    made = [row["exposure_id"] for row in service.rows("SELECT * FROM exposure ORDER BY id")]
    assert made == sorted(made)
    assert {exposure_id[6] >> 4 for exposure_id in made} == {7}


def test_a_request_without_a_unit_is_answered_by_the_default_and_not_logged(service: Service) -> None:
    assert service.ask(None)["arm"] == "student"
    assert service.rows("SELECT * FROM exposure") == []
    assert service.client.metric("ctr_exposures_total", experiment="", arm="student", reason="no_unit") == 1


def test_who_is_not_included_is_logged_as_history(service: Service) -> None:
    service.put(ramp=0.0)
    assert {service.ask(f"u{i}")["arm"] for i in range(30)} == {"student"}
    assert Counter(row["reason"] for row in service.rows("SELECT * FROM exposure")) == {"ramp": 30}


def test_a_refused_request_is_no_exposure(service: Service) -> None:
    answer = service.client.post("/predict", json={"unit": "u1", **BODY, "items": ["no such item"]})
    assert answer.status_code == 422
    assert service.rows("SELECT * FROM exposure") == []


@pytest.mark.parametrize(
    ("mood", "reason"),
    [({"hang_s": 0.6}, "teacher-timeout"), ({"breaks": True}, "failed"), ({"nan": True}, "not-finite")],
)
def test_a_teacher_that_cannot_answer_falls_back_and_keeps_its_arm(
    service: Service, mood: dict[str, Any], reason: str
) -> None:
    unit = service.unit_of("teacher")
    vars(service.teacher).update(mood)
    answer = service.ask(unit, request_id="late")
    assert (answer["arm"], answer["model"], answer["fallback"]) == ("teacher", "tiny-student@v1", True)
    assert answer["probabilities"] == service.client.post("/student/predict", json=BODY).json()["probabilities"]
    (logged,) = service.rows("SELECT * FROM answer WHERE request_id = 'late'")
    assert (logged["model"], logged["fallback"], logged["status"]) == ("tiny-student@v1", 1, 200)
    assert service.client.metric("ctr_fallbacks_total", arm="teacher", reason=reason) == 1


def test_the_exposure_is_there_before_the_arm_has_answered(service: Service) -> None:
    unit = service.unit_of("teacher")
    service.teacher.hang_s = 0.6  # type: ignore[union-attr] # a Moody one

    async def ask_and_look() -> tuple[int, int]:
        async with service.client.session() as session:
            asking = asyncio.create_task(session.post("/predict", json={"unit": unit, **BODY, "request_id": "slow"}))
            await asyncio.sleep(0.1)
            seen = len(service.rows("SELECT * FROM exposure WHERE request_id = 'slow'"))
            answered = len(service.rows("SELECT * FROM answer WHERE request_id = 'slow'"))
            await asking
            return seen, answered

    assert service.client.run(ask_and_look()) == (1, 0)


def test_a_hung_teacher_delays_no_student_of_the_experiment(service: Service) -> None:
    student, teacher = service.unit_of("student"), service.unit_of("teacher")
    service.teacher.hang_s = 5.0  # type: ignore[union-attr]

    async def ask() -> tuple[float, list[dict[str, Any]]]:
        async with service.client.session() as session:
            slow = [asyncio.create_task(session.post("/predict", json={"unit": teacher, **BODY})) for _ in range(12)]
            await asyncio.sleep(0)
            started = time.perf_counter()
            for _ in range(20):
                assert (await session.post("/predict", json={"unit": student, **BODY})).status_code == 200
            took = time.perf_counter() - started
            return took, [(await answer).json() for answer in slow]

    took, answers = service.client.run(ask())
    assert took < 2.5  # half of what one teacher answer takes
    assert {(answer["arm"], answer["fallback"]) for answer in answers} == {("teacher", True)}


def test_without_a_teacher_its_arm_falls_back(open_service: Callable[..., Service]) -> None:
    service = open_service()
    service.put()
    unit = service.unit_of("teacher")
    del service.client.app.service_state.arms["teacher"]
    assert service.ask(unit)["fallback"]
    assert service.client.metric("ctr_fallbacks_total", arm="teacher", reason="no-teacher") == 1


def test_when_the_default_model_fails_the_failure_is_logged_with_its_exposure(open_client: Any, tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite3"
    service = Service(
        open_client({"student": Moody}, events=f"sqlite:{path}", admin_token=TOKEN, scorer="onnxruntime"), path
    )
    service.put()
    unit = service.unit_of("student")
    service.client.app.service_state.arms["student"].model.scorer.nan = True
    answer = service.client.post("/predict", json={"unit": unit, **BODY, "request_id": "bad"})
    assert answer.status_code == 500
    assert service.rows("SELECT arm FROM exposure WHERE request_id = 'bad'") == [{"arm": "student"}]
    assert service.rows("SELECT status, model FROM answer WHERE request_id = 'bad'") == [{"status": 500, "model": ""}]


def test_a_trusted_caller_forces_an_arm_and_is_told_apart(service: Service) -> None:
    unit = service.unit_of("student")
    answer = service.ask(unit, {"x-arm": "teacher", **ADMIN}, request_id="forced")
    assert (answer["arm"], answer["model"]) == ("teacher", "tiny-teacher@v1")
    (row,) = service.rows("SELECT reason, propensity FROM exposure WHERE request_id = 'forced'")
    assert row == {"reason": "forced", "propensity": 1.0}


def test_nobody_else_forces_an_arm(service: Service) -> None:
    unit = service.unit_of("student")
    assert service.ask(unit, {"x-arm": "teacher"})["arm"] == "student"
    assert service.ask(unit, {"x-arm": "teacher", "authorization": "Bearer guess"})["arm"] == "student"
    assert service.client.metric("ctr_forced_arms_total", result="refused") == 2
    refused = service.client.post("/predict", json=BODY, headers={"x-arm": "v9", **ADMIN})
    assert (refused.status_code, refused.json()["expected"]) == (422, "student, teacher")


def test_forced_paths_are_never_exposures(service: Service) -> None:
    for path in ("/student/predict", "/teacher/predict"):
        assert service.client.post(path, json={"unit": "u1", **BODY}).status_code == 200
    assert service.rows("SELECT * FROM exposure") == []


def test_raw_units_and_probabilities_are_stored_as_the_settings_say(open_service: Callable[..., Service]) -> None:
    service = open_service(raw_units=True, log_probabilities=False)
    service.put()
    service.ask("u1")
    assert service.rows("SELECT unit FROM exposure") == [{"unit": "u1"}]
    assert service.rows("SELECT probabilities, items FROM answer") == [{"probabilities": b"", "items": b""}]


def test_signed_answers_carry_a_token(open_service: Callable[..., Service]) -> None:
    service = open_service(token_key="k" * 32)
    service.put()
    assert service.ask("u1")["token"]
    assert "token" not in service.ask(None)


def test_a_a_runs_one_model_under_two_names(service: Service) -> None:
    arms = [{"name": "one", "weight": 5000, "model": "student"}, {"name": "two", "weight": 5000, "model": "student"}]
    service.put(arms=arms, mode="aa", phase=2)
    answers = [service.ask(f"u{i}") for i in range(40)]
    assert {answer["arm"] for answer in answers} == {"one", "two"}
    assert {answer["model"] for answer in answers} == {"tiny-student@v1"}


def test_a_further_bundle_is_an_arm(open_service: Callable[..., Service], bundles: Path) -> None:
    service = open_service(arms={"v2": str(bundles / "no-catalogue")})
    service.put(arms=[{"name": "student", "weight": 5000}, {"name": "v2", "weight": 5000}])
    answers = [service.ask(f"u{i}") for i in range(30)]
    assert {(answer["arm"], answer["fallback"]) for answer in answers} == {("student", False), ("v2", True)}
    columns = {"item": ["i1"], "category": ["books"], "price": [1.0]}
    unit = service.unit_of("v2")
    body = {"unit": unit, "context": BODY["context"], "candidates": columns}
    answer = service.client.post("/predict", json=body).json()
    assert (answer["model"], answer["fallback"]) == ("tiny-bare@v1", False)


def test_metrics_tell_arms_and_reasons(service: Service) -> None:
    arms = Counter(service.ask(f"u{i}")["arm"] for i in range(50))
    for arm, count in arms.items():
        assert service.client.metric("ctr_exposures_total", experiment="a", arm=arm, reason="assigned") == count
        labels = {"route": "/predict", "arm": arm, "status_class": "2xx"}
        assert service.client.metric("ctr_request_duration_seconds_count", **labels) == count
    assert service.client.metric("ctr_experiment_revision") == 1
