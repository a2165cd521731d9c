"""Nothing may let a teacher delay a student. The slow scorer is a real one that sleeps as a runtime computes:
outside the interpreter lock.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from service.bundle import EmbeddingTable, Ids
from service.scoring import Logits, OnnxScorer

if TYPE_CHECKING:
    from tests.conftest import Client, OpenClient

BODY = {"context": {"user": "u3", "hour": 13}, "items": ["i0", "i1"]}


class Slow(OnnxScorer):
    """Takes `delay_s` seconds per batch once it is set, and remembers which threads ran it."""

    delay_s = 0.0

    def __init__(self, model_onnx: bytes, embedding: EmbeddingTable | None = None) -> None:
        super().__init__(model_onnx, embedding)
        self.threads: list[str] = []

    def score(self, context_ids: Ids, candidate_ids: Ids) -> Logits:
        self.threads.append(threading.current_thread().name)
        time.sleep(self.delay_s)
        return super().score(context_ids, candidate_ids)


OpenSlow = Callable[..., "tuple[Client, Slow]"]


@pytest.fixture
def slow_teacher(open_client: OpenClient) -> OpenSlow:
    """A client whose teacher takes as long as its scorer's `delay_s` says, and that scorer."""

    def open_slow(delay_s: float, **settings: Any) -> tuple[Client, Slow]:
        client = open_client({"teacher": Slow}, **settings)
        scorer = client.app.service_state.arms["teacher"].model.scorer
        scorer.delay_s = delay_s
        scorer.threads.clear()
        return client, scorer

    return open_slow


def test_a_slow_teacher_delays_no_student(slow_teacher: OpenSlow) -> None:
    """Fifty student requests sent after a teacher request are all answered before it."""
    client, _ = slow_teacher(0.8)

    async def ask() -> tuple[list[int], bool, int]:
        async with client.session() as session:
            teacher = asyncio.create_task(session.post("/teacher/predict", json=BODY))
            await asyncio.sleep(0.1)
            students = [(await session.post("/predict", json=BODY)).status_code for _ in range(50)]
            was_waiting = not teacher.done()
            return students, was_waiting, (await teacher).status_code

    students, was_waiting, teacher = client.run(ask())
    assert students == [200] * 50
    assert was_waiting
    assert teacher == 200


def test_a_teacher_past_its_deadline_is_504_at_the_deadline(slow_teacher: OpenSlow) -> None:
    client, _ = slow_teacher(0.6, teacher_timeout_ms=50)
    started = time.perf_counter()
    response = client.post("/teacher/predict", json=BODY)
    assert time.perf_counter() - started < 0.5
    assert response.status_code == 504
    assert response.json()["type"].endswith("teacher-timeout")
    assert "within 50 ms" in response.json()["detail"]
    labels = {"route": "/teacher/predict", "arm": "teacher", "status_class": "5xx"}
    assert client.metric("ctr_request_duration_seconds_count", **labels) == 1


def test_what_waited_past_its_deadline_never_runs(slow_teacher: OpenSlow) -> None:
    client, scorer = slow_teacher(0.3, teacher_timeout_ms=100)

    async def ask() -> list[int]:
        async with client.session() as session:
            answers = await asyncio.gather(*(session.post("/teacher/predict", json=BODY) for _ in range(4)))
            await asyncio.sleep(0.5)
            return [answer.status_code for answer in answers]

    assert client.run(ask()) == [504] * 4
    assert len(scorer.threads) == 1
    assert client.metric("ctr_shed_total", reason="deadline") == 4
    assert client.metric("ctr_queue_candidates", arm="teacher") == 0


def test_candidates_that_wait_are_counted_until_they_are_scored(slow_teacher: OpenSlow) -> None:
    client, scorer = slow_teacher(0.3)

    async def ask() -> float:
        async with client.session() as session:
            asked = [asyncio.create_task(session.post("/teacher/predict", json=BODY)) for _ in range(4)]
            while not scorer.threads:  # noqa: ASYNC110 - set by another thread, on its way through
                await asyncio.sleep(0.01)
            waiting = client.metric("ctr_queue_candidates", arm="teacher")
            await asyncio.gather(*asked)
            return waiting

    assert client.run(ask()) == 6  # two candidates each of three requests; those of the first are being scored
    assert client.metric("ctr_queue_candidates", arm="teacher") == 0


def test_too_many_waiting_teacher_requests_are_503_at_once_and_the_slots_come_back(
    slow_teacher: OpenSlow,
) -> None:
    client, scorer = slow_teacher(0.2, teacher_max_waiting=2, teacher_timeout_ms=5000)

    async def ask() -> list[int]:
        async with client.session() as session:
            answers = await asyncio.gather(*(session.post("/teacher/predict", json=BODY) for _ in range(5)))
            busy = next(answer for answer in answers if answer.status_code == 503)
            assert busy.headers["retry-after"] == "1"
            assert busy.json()["type"].endswith("teacher-busy")
            return sorted(answer.status_code for answer in answers)

    assert client.run(ask()) == [200, 200, 503, 503, 503]
    assert client.metric("ctr_shed_total", reason="busy") == 3
    scorer.delay_s = 0.0
    assert [client.post("/teacher/predict", json=BODY).status_code for _ in range(5)] == [200] * 5


def test_a_teacher_runs_on_a_thread_of_its_own(slow_teacher: OpenSlow) -> None:
    client, scorer = slow_teacher(0.0)
    client.post("/teacher/predict", json=BODY)
    assert [name.rsplit("_", 1)[0] for name in scorer.threads] == ["teacher"]
    assert client.metric("ctr_stage_duration_seconds_count", stage="queue", arm="teacher") == 1


@pytest.mark.parametrize(("candidates", "inline"), [(1, True), (2, True), (3, False)])
def test_a_student_batch_runs_on_the_event_loop_up_to_its_budget(
    open_client: OpenClient, candidates: int, *, inline: bool
) -> None:
    """The bundle states 100 multiplications per candidate: a budget of 200 is two candidates."""
    client = open_client({"student": Slow}, inline_multiplications=200)
    scorer = client.app.service_state.arms["student"].model.scorer
    scorer.threads.clear()
    response = client.post("/predict", json={**BODY, "items": ["i0"] * candidates})
    assert response.status_code == 200
    assert (scorer.threads == [threading.current_thread().name]) is inline
    assert scorer.threads[0].startswith("student") is not inline
    assert client.metric("ctr_stage_duration_seconds_count", stage="queue", arm="student") == (0 if inline else 1)


def test_a_large_student_batch_leaves_the_event_loop_free(open_client: OpenClient) -> None:
    client = open_client({"student": Slow}, inline_multiplications=200)
    client.app.service_state.arms["student"].model.scorer.delay_s = 0.5

    async def ask() -> bool:
        async with client.session() as session:
            large = asyncio.create_task(session.post("/predict", json={**BODY, "items": ["i0"] * 3}))
            await asyncio.sleep(0.05)
            assert (await session.get("/healthz")).status_code == 200
            was_waiting = not large.done()
            assert (await large).status_code == 200
            return was_waiting

    assert client.run(ask())
