"""The shadow as a worker has it: a real app, a real child process, two real bundles."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest

from service.bundle import read_bundle
from service.events.reading import read_shadows
from service.events.urls import open_store
from service.shadow.message import QUEUE_BYTES, AnsweredBy
from service.shadow.shadow import Shadow

if TYPE_CHECKING:
    from tests.conftest import Client, OpenClient

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="messages keep their bounds on Linux's sockets")

MANY = [f"i{n % 10}" for n in range(5000)]
"""Items of a request that takes some 50 kB of the queue."""
BODY: dict[str, Any] = {"context": {"user": "u3", "hour": 13}, "items": ["i0", "i1", "i2", "i3"]}
PAIR = ("student", "teacher")
STUDENT = AnsweredBy("student", "s@1")
TOKEN = "t" * 16


def eventually(condition: Callable[[], Any], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def state_of(pid: int) -> str:
    """The letter of a process in /proc, Z when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


def shadow_of(client: Client) -> Shadow:
    return client.app.service_state.shadow


def results(client: Client) -> dict[str, float]:
    return {result: client.metric("ctr_shadow_total", result=result) for result in ("ok", "error", "dropped")}


def settled(client: Client, offered: int) -> dict[str, float]:
    """The results once all that was offered is counted."""
    assert eventually(lambda: sum(results(client).values()) >= offered), results(client)
    return results(client)


def drops(client: Client, reason: str) -> float:
    return client.metric("ctr_shadow_dropped_total", reason=reason)


def send(client: Client, requests: int, **changed: Any) -> None:
    for _ in range(requests):
        assert client.post("/predict", json={**BODY, **changed}).status_code == 200


@pytest.fixture
def events(tmp_path: Path) -> str:
    return f"sqlite:{tmp_path}/events.sqlite3"


@pytest.fixture
def shadowed(open_client: OpenClient, events: str) -> Iterator[Callable[..., Client]]:
    """Opens an app whose every answer is offered to a shadow that has answered once; settings as keywords."""
    stopped: list[int] = []

    def open_one(**settings: Any) -> Client:
        client = open_client(events=events, **settings)
        shadow_of(client).configure(1.0, PAIR)
        assert eventually(lambda: shadow_of(client).pid)
        stopped.append(shadow_of(client).pid or 0)
        send(client, 1)
        settled(client, 1)
        return client

    yield open_one
    for pid in stopped:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def test_every_request_is_scored_by_the_other_model_and_compared(
    shadowed: Callable[..., Client], bundles: Path, events: str
) -> None:
    """What /metrics and the event store say follows from the two bundles' own examples."""
    client = shadowed()
    send(client, 19)
    assert settled(client, 20) == {"ok": 20, "error": 0, "dropped": 0}
    gap_N = np.abs(np.subtract(*(read_bundle(bundles / model).example["probabilities"] for model in PAIR)))
    assert client.metric("ctr_shadow_abs_diff_count") == 20 * 4
    assert client.metric("ctr_shadow_abs_diff_sum") == pytest.approx(20 * gap_N.sum(), abs=1e-3)
    for per_request in ("kendall_tau", "top_k_overlap", "rank_biased_overlap"):
        assert client.metric(f"ctr_shadow_{per_request}_count") == 20
    for model in PAIR:
        assert client.metric("ctr_shadow_latency_seconds_count", model=model) == 20
    shadow_of(client).close()
    with closing(open_store(events, attribution_ms=1)) as store:
        stored = read_shadows(store)
    assert len({comparison.request_id for comparison in stored}) == 20
    assert (stored[0].primary, stored[0].shadow) == ("tiny-student@v1", "tiny-teacher@v1")
    assert stored[0].mean_abs_probability_gap == pytest.approx(gap_N.mean(), abs=1e-5)
    assert {comparison.n_candidates for comparison in stored} == {4}


def test_a_document_begins_and_ends_the_shadow(open_client: OpenClient, events: str) -> None:
    client = open_client(events=events, admin_token=TOKEN)
    for share in (1.0, 0.0):
        document = {"shadow": {"share": share, "models": PAIR}}
        headers = {"authorization": f"Bearer {TOKEN}"}
        assert client.request("PUT", "/experiment", json=document, headers=headers).status_code == 200
        assert eventually(lambda wanted=share > 0: (shadow_of(client).pid is not None) == wanted)
        send(client, 3)
        assert settled(client, 3) == {"ok": 3, "error": 0, "dropped": 0}


def test_requests_of_an_experiment_are_offered_too(open_client: OpenClient, events: str) -> None:
    """Those that the teacher answered are compared with the student's."""
    arms = [{"name": "control", "model": "teacher", "weight": 5000}, {"name": "student", "weight": 5000}]
    document = {"experiments": [{"name": "e", "arms": arms}], "shadow": {"share": 1.0, "models": PAIR}}
    client = open_client(events=events, admin_token=TOKEN)
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert client.request("PUT", "/experiment", json=document, headers=headers).status_code == 200
    assert eventually(lambda: shadow_of(client).pid)
    for unit in range(12):
        send(client, 1, unit=f"u{unit}")
    assert settled(client, 12) == {"ok": 12, "error": 0, "dropped": 0}
    shadow_of(client).close()
    with closing(open_store(events, attribution_ms=1)) as store:
        pairs = {(comparison.primary, comparison.shadow) for comparison in read_shadows(store)}
    assert pairs == {("tiny-student@v1", "tiny-teacher@v1"), ("tiny-teacher@v1", "tiny-student@v1")}


def test_answers_of_either_model_are_compared_with_the_others(shadowed: Callable[..., Client], bundles: Path) -> None:
    client = shadowed()
    body = orjson.dumps(BODY)
    for primary in PAIR:
        example = read_bundle(bundles / primary).example["probabilities"]
        offer(client, body, np.array(example, np.float32), AnsweredBy(primary, "m@1"))
    assert settled(client, 3) == {"ok": 3, "error": 0, "dropped": 0}
    gap_N = np.abs(np.subtract(*(read_bundle(bundles / model).example["probabilities"] for model in PAIR)))
    assert client.metric("ctr_shadow_abs_diff_sum") == pytest.approx(3 * gap_N.sum(), abs=1e-5)


def offer(client: Client, body: bytes, probabilities_N: np.ndarray, by: AnsweredBy = STUDENT) -> None:
    shadow_of(client).offer(body, probabilities_N, by, latency_s=0.001, request_id="r")


def test_forced_arms_are_not_offered(shadowed: Callable[..., Client]) -> None:
    client = shadowed()
    for path in ("/student/predict", "/teacher/predict"):
        assert client.post(path, json=BODY).status_code == 200
    send(client, 1)
    assert settled(client, 2) == {"ok": 2, "error": 0, "dropped": 0}


def test_a_share_of_the_requests_is_offered(shadowed: Callable[..., Client]) -> None:
    client = shadowed()
    shadow_of(client).configure(0.25, PAIR)
    send(client, 400)
    shadow_of(client).close()
    assert 50 < sum(results(client).values()) < 150  # 100 expected, standard deviation 8.7


def test_with_a_share_of_nothing_there_is_no_child(shadowed: Callable[..., Client]) -> None:
    client = shadowed()
    pid = shadow_of(client).pid or 0
    shadow_of(client).configure(0.0, PAIR)
    assert eventually(lambda: shadow_of(client).pid is None and state_of(pid) == "Z")
    send(client, 3)
    assert results(client) == {"ok": 1, "error": 0, "dropped": 0}


def test_a_model_that_there_is_none_of_is_refused(shadowed: Callable[..., Client]) -> None:
    with pytest.raises(ValueError, match=r"got \['nobody'\], expected two of \['student', 'teacher'\]"):
        shadow_of(shadowed()).configure(1.0, ("student", "nobody"))


def test_a_stopped_child_delays_nothing_and_what_finds_no_room_is_counted(shadowed: Callable[..., Client]) -> None:
    client = shadowed()
    pid = shadow_of(client).pid or 0
    os.kill(pid, signal.SIGSTOP)
    assert eventually(lambda: state_of(pid) == "T")
    send(client, 200, items=MANY)
    waiting = 201 - sum(results(client).values())
    assert results(client)["ok"] == 1
    assert 0 < waiting <= 2 * QUEUE_BYTES / 45_000 + 1
    assert drops(client, "full") == 200 - waiting
    os.kill(pid, signal.SIGCONT)
    assert settled(client, 201) == {"ok": 1 + waiting, "error": 0, "dropped": 200 - waiting}
    send(client, 1)
    assert settled(client, 202)["ok"] == 2 + waiting


def test_what_a_killed_child_had_not_reported_is_counted_as_lost_and_another_takes_its_place(
    shadowed: Callable[..., Client],
) -> None:
    client = shadowed()
    pid = shadow_of(client).pid or 0
    os.kill(pid, signal.SIGSTOP)
    send(client, 10)
    os.kill(pid, signal.SIGKILL)
    assert settled(client, 11) == {"ok": 1, "error": 0, "dropped": 10}
    assert drops(client, "lost") == 10
    send(client, 5)
    assert drops(client, "no_child") == 5
    assert eventually(lambda: shadow_of(client).pid not in {None, pid})
    send(client, 1)
    assert settled(client, 17) == {"ok": 2, "error": 0, "dropped": 15}
    assert client.metric("ctr_shadow_restarts_total") == 1


def test_a_child_told_to_end_reports_what_it_has_done(shadowed: Callable[..., Client]) -> None:
    client = shadowed()
    pid = shadow_of(client).pid or 0
    send(client, 5)
    os.kill(pid, signal.SIGTERM)
    found = settled(client, 6)
    assert found["ok"] + found["dropped"] == 6
    assert eventually(lambda: state_of(pid) == "Z")


def test_an_interrupt_of_the_terminal_is_left_to_the_worker(shadowed: Callable[..., Client]) -> None:
    client = shadowed()
    os.kill(shadow_of(client).pid or 0, signal.SIGINT)
    send(client, 1)
    assert settled(client, 2)["ok"] == 2


def test_a_closed_app_ends_a_stopped_child_too(open_client: OpenClient, events: str) -> None:
    client = open_client(events=events)
    shadow_of(client).configure(1.0, PAIR)
    assert eventually(lambda: shadow_of(client).pid)
    pid = shadow_of(client).pid or 0
    os.kill(pid, signal.SIGSTOP)
    send(client, 3)
    shadow_of(client).close()
    assert state_of(pid) == "Z"
    assert results(client) == {"ok": 0, "error": 0, "dropped": 3}


def test_a_bad_bundle_is_an_error_of_the_shadow_alone(
    open_client: OpenClient, broken: Callable[..., Path], events: str
) -> None:
    client = open_client(teacher_bundle=broken(model_onnx=b"no graph"), events=events)
    shadow_of(client).configure(1.0, PAIR)
    assert eventually(lambda: shadow_of(client).pid)
    send(client, 5)
    assert settled(client, 5) == {"ok": 0, "error": 5, "dropped": 0}
    assert client.metric("ctr_shadow_errors_total", reason="not_loaded") == 5


def test_a_request_that_the_other_model_does_not_take_is_an_error_of_the_shadow_alone(
    open_client: OpenClient, bundles: Path, events: str
) -> None:
    client = open_client(teacher_bundle=bundles / "no-catalogue", events=events)
    shadow_of(client).configure(1.0, PAIR)
    assert eventually(lambda: shadow_of(client).pid)
    send(client, 2)
    assert settled(client, 2) == {"ok": 0, "error": 2, "dropped": 0}
    assert client.metric("ctr_shadow_errors_total", reason="refused") == 2


def test_ids_are_compared_only_between_models_that_share_their_vocabularies(shadowed: Callable[..., Client]) -> None:
    client = shadowed()
    ids = {
        "context_ids": {"user": 5, "hour": 3},
        "candidate_ids": {"item": [2, 3], "category": [2, 3], "price": [2, 3]},
    }
    assert client.post("/predict", json=ids).status_code == 200
    assert settled(client, 2) == {"ok": 2, "error": 0, "dropped": 0}
    offer(client, orjson.dumps(ids), np.array([0.1, 0.2], np.float32), AnsweredBy("student", "s@1", "others"))
    assert settled(client, 3) == {"ok": 2, "error": 1, "dropped": 0}
    assert client.metric("ctr_shadow_errors_total", reason="form") == 1


def test_a_request_that_no_queue_has_room_for_is_counted_as_too_large(shadowed: Callable[..., Client]) -> None:
    client = shadowed(max_candidates=10_000_000)
    offer(client, b" " * 2 * QUEUE_BYTES, np.zeros(1, np.float32))
    assert results(client)["dropped"] == drops(client, "too_large") == 1
    send(client, 1)
    assert settled(client, 3)["ok"] == 2


def test_another_service_can_be_the_other_model(
    open_client: OpenClient, bundles: Path, serve: Callable[..., str], events: str
) -> None:
    far = serve("--student-bundle", str(bundles / "teacher"))
    client = open_client(arms={"far": f"{far}/student/predict"}, events=events)
    shadow_of(client).configure(1.0, ("student", "far"))
    assert eventually(lambda: shadow_of(client).pid)
    send(client, 3)
    assert settled(client, 3) == {"ok": 3, "error": 0, "dropped": 0}
    gap_N = np.abs(np.subtract(*(read_bundle(bundles / model).example["probabilities"] for model in PAIR)))
    assert client.metric("ctr_shadow_abs_diff_sum") == pytest.approx(3 * gap_N.sum(), abs=1e-4)
    assert client.metric("ctr_shadow_latency_seconds_count", model="far") == 3


def test_another_service_that_is_gone_hangs_or_refuses_is_an_error_of_the_shadow_alone(
    open_client: OpenClient, bundles: Path, serve: Callable[..., str], events: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hung, socket.create_server(("127.0.0.1", 0)) as gone:
        hung_at, gone_at = (f"http://127.0.0.1:{listener.getsockname()[1]}/" for listener in (hung, gone))
        gone.close()
        far = {"hung": hung_at, "gone": gone_at, "other": serve("--student-bundle", str(bundles / "no-catalogue"))}
        client = open_client(arms={**far, "other": f"{far['other']}/predict"}, events=events, teacher_timeout_ms=100)
        for offered, (model, reason) in enumerate(
            (("hung", "timeout"), ("gone", "unreachable"), ("other", "refused")), start=1
        ):
            shadow_of(client).configure(1.0, ("student", model))
            assert eventually(lambda: shadow_of(client).pid)
            send(client, 1)
            assert settled(client, offered)["error"] == offered
            assert client.metric("ctr_shadow_errors_total", reason=reason) == 1
