"""POST /models/{arm}/reload and /rollback over a real app and real versions."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import time
import weakref
from pathlib import Path
from typing import Any

import pytest

from service.bundle import Bundle, Calibration, current_version, write_bundle

TOKEN = "swap"  # noqa: S105 - the tests' own
ADMIN = {"authorization": f"Bearer {TOKEN}"}
ASKED = {"context": {"user": "u3", "hour": 13}, "items": ["i0", "i1", "i2"]}


def write(root: Path, bundle: Bundle, version: str, intercept: float = -0.5) -> None:
    """A version that answers otherwise than others do: another calibration, an example that agrees with it."""
    calibration = Calibration(slope=0.9, intercept=intercept)
    odds = [p / (1 - p) * 2.718281828459045 ** (intercept + 0.5) for p in bundle.example["probabilities"]]
    example = {**bundle.example, "probabilities": [odd / (1 + odd) for odd in odds]}
    manifest = dataclasses.replace(bundle.manifest, version=version, calibration=calibration)
    write_bundle(root, dataclasses.replace(bundle, manifest=manifest, example=example))


@pytest.fixture
def root(bundle: Bundle, tmp_path: Path) -> Path:
    write(tmp_path / "student", bundle, "v1")
    return tmp_path / "student"


@pytest.fixture
def service(open_client: Any, root: Path) -> Any:
    return open_client(student_bundle=root, admin_token=TOKEN)


def post(service: Any, path: str, **options: Any) -> Any:
    return service.post(path, headers=ADMIN, **options)


def wait_until(service: Any, wanted: Any) -> None:
    """Let the app's loop run between two looks: nothing else does here."""
    deadline = time.monotonic() + 20
    while not wanted():
        assert time.monotonic() < deadline
        service.run(asyncio.sleep(0.02))


def answered(service: Any) -> dict[str, Any]:
    decoded: dict[str, Any] = service.post("/predict", json=ASKED).json()
    return decoded


def test_what_current_names_is_followed_by_itself(service: Any, root: Path, bundle: Bundle) -> None:
    before = answered(service)
    write(root, bundle, "v2", intercept=1.0)
    wait_until(service, lambda: answered(service)["model"] == "tiny-student@v2")
    assert answered(service)["probabilities"] > before["probabilities"]
    assert service.get("/readyz").json()["arms"]["student"] == "tiny-student@v2"
    info = {
        "version": "v1",
        "model": "tiny-student@v1",
        "sha": service.get("/models").json()["arms"]["student"]["sha256"],
    }
    assert service.metric("ctr_model_info", **info) == 0
    assert service.metric("ctr_model_info", **{**info, "version": "v2", "model": "tiny-student@v2"}) == 1


def test_reload_serves_what_current_names_at_once(service: Any, root: Path, bundle: Bundle) -> None:
    write(root, bundle, "v2", intercept=1.0)
    swapped = post(service, "/models/student/reload").json()
    assert swapped == {
        "arm": "student",
        "before": "tiny-student@v1",
        "model": "tiny-student@v2",
        "changed": True,
    }
    assert answered(service)["model"] == "tiny-student@v2"
    assert post(service, "/models/student/reload").json()["changed"] is False


def test_rollback_returns_to_the_version_before_and_says_so_to_everybody(
    service: Any, root: Path, bundle: Bundle
) -> None:
    first = answered(service)["probabilities"]
    write(root, bundle, "v2", intercept=1.0)
    post(service, "/models/student/reload")
    swapped = post(service, "/models/student/rollback").json()
    assert (swapped["model"], current_version(root)) == ("tiny-student@v1", "v1")
    assert answered(service)["probabilities"] == first
    assert post(service, "/models/student/rollback", json={"version": "v2"}).json()["model"] == "tiny-student@v2"


def test_a_version_that_is_refused_leaves_the_one_before_and_says_why(service: Any, root: Path, bundle: Bundle) -> None:
    write(root, bundle, "v2")
    graph = root / "v2" / "model.onnx"
    whole = graph.read_bytes()
    graph.write_bytes(whole[:-1])
    refused = post(service, "/models/student/reload")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:problem-type:ctr:bundle-refused")
    assert "sha256" in refused.json()["detail"]
    ready = service.get("/readyz").json()
    assert (ready["arms"]["student"], ready["degraded"]) == ("tiny-student@v1", True)
    assert ready["reasons"]["student"].endswith("version v1 goes on answering")
    assert answered(service)["model"] == "tiny-student@v1"
    assert service.metric("ctr_model_loads_total", result="refused", reason="read") == 1
    graph.write_bytes(whole)  # mended: not looked at again by itself, but when it is asked for
    assert post(service, "/models/student/reload").json()["model"] == "tiny-student@v2"
    assert service.get("/readyz").json()["reasons"] == {}


def test_a_version_that_is_refused_is_tried_once_and_not_every_second(
    service: Any, root: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.following.POLL_S", 0.01)
    write(root, bundle, "v2")
    (root / "v2" / "model.onnx").write_bytes(b"")
    loads = {"result": "refused", "reason": "read"}
    wait_until(service, lambda: service.metric("ctr_model_loads_total", **loads) == 1)
    service.run(asyncio.sleep(0.3))
    assert service.metric("ctr_model_loads_total", **loads) == 1


def test_rolling_back_to_a_damaged_version_changes_nothing(service: Any, root: Path, bundle: Bundle) -> None:
    write(root, bundle, "v2")
    post(service, "/models/student/reload")
    (root / "v1" / "schema.json").write_bytes(b"{}")
    assert post(service, "/models/student/rollback").status_code == 409
    assert (current_version(root), answered(service)["model"]) == ("v2", "tiny-student@v2")


def test_there_is_nothing_to_roll_back_to_at_first(service: Any) -> None:
    refused = post(service, "/models/student/rollback")
    assert refused.status_code == 409
    assert "name one of v1" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("body", "field"), [(b"{", "body"), (b'{"version": "../v1"}', "version"), (b'{"verson": "v1"}', "verson")]
)
def test_a_body_that_is_no_wish_for_a_version_is_422(service: Any, body: bytes, field: str) -> None:
    refused = post(service, "/models/student/rollback", content=body)
    assert (refused.status_code, refused.json()["field"]) == (422, field)


@pytest.mark.parametrize("path", ["/models/student/reload", "/models/student/rollback"])
def test_both_need_the_admin_token(service: Any, open_client: Any, path: str) -> None:
    assert service.post(path).status_code == 401
    assert open_client().post(path, headers=ADMIN).status_code == 403


def test_an_arm_that_has_no_bundle_here_is_404(open_client: Any, root: Path) -> None:
    arms = {"teacher": "http://127.0.0.1:9/student/predict"}
    service = open_client(student_bundle=root, arms=arms, admin_token=TOKEN)
    for name in ("teacher", "nobody"):
        assert post(service, f"/models/{name}/reload").status_code == 404
    version = open_client(student_bundle=root / "v1", admin_token=TOKEN)
    assert "no CURRENT to follow" in post(version, "/models/student/reload").json()["detail"]


def test_a_service_that_was_not_ready_becomes_so_when_a_good_version_comes(
    open_client: Any, root: Path, bundle: Bundle
) -> None:
    (root / "v1" / "model.onnx").write_bytes(b"")
    service = open_client(student_bundle=root)
    assert service.get("/readyz").status_code == 503
    write(root, bundle, "v2")
    wait_until(service, lambda: service.get("/readyz").status_code == 200)
    assert answered(service)["model"] == "tiny-student@v2"


def test_a_teacher_that_comes_later_is_found(open_client: Any, bundle: Bundle, tmp_path: Path) -> None:
    service = open_client(teacher_bundle=tmp_path / "teacher")
    assert service.post("/teacher/predict", json=ASKED).status_code == 503
    write(tmp_path / "teacher", bundle, "v7")
    wait_until(service, lambda: service.post("/teacher/predict", json=ASKED).status_code == 200)


def test_the_protocol_of_version_2_knows_the_new_version_and_not_the_old(
    service: Any, root: Path, bundle: Bundle
) -> None:
    write(root, bundle, "v2")
    post(service, "/models/student/reload")
    assert service.get("/v2/models/student/versions/v2/ready").status_code == 200
    assert service.get("/v2/models/student/versions/v1/ready").status_code == 404
    for version, status in (("v1", 404), ("v2", 400)):
        assert post(service, f"/v2/models/student/versions/{version}/infer", content=b"{}").status_code == status


def test_nothing_of_a_model_stays_when_another_took_its_place(service: Any, root: Path, bundle: Bundle) -> None:
    """By reference counts alone: a serving process has set what it loaded apart from the garbage collector."""
    arm = weakref.ref(service.app.service_state.arms["student"].model.reader)
    answered(service)
    gc.disable()
    try:
        write(root, bundle, "v2")
        post(service, "/models/student/reload")
        answered(service)
        assert arm() is None
    finally:
        gc.enable()


def test_a_report_knows_what_a_model_costs_that_came_later(
    open_client: Any, root: Path, bundle: Bundle, tmp_path: Path
) -> None:
    from service.events.urls import open_store  # noqa: PLC0415
    from service.experiment.model_facts import read_models  # noqa: PLC0415 - for this test alone

    url = f"sqlite:{tmp_path}/events.sqlite3"
    service = open_client(student_bundle=root, admin_token=TOKEN, events=url)
    write(root, bundle, "v2")
    post(service, "/models/student/reload")
    store = open_store(url, attribution_ms=1000)
    assert {"tiny-student@v1", "tiny-student@v2"} <= read_models(store).keys()
    store.close()
