"""A second port for admins, as a firewall sees it: real sockets, in one process and in several."""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from service.settings import SettingsError, read_settings

TOKEN = "as long as it is secret"  # noqa: S105 - of this test alone
DOCUMENT = '[[experiments]]\nname = "e"\narms = [{name = "student", weight = 5000}, {name = "teacher", weight = 5000}]'
BODY = json.dumps({"unit": "u", "context": {"user": "u3", "hour": 13}, "items": ["i0", "i1"]})


def free_port() -> int:
    """A port below those that the system gives away by itself, so that it stays free until it is used."""
    while True:
        port = random.randint(20_000, 30_000)  # noqa: S311 - no secret
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)):
                return port


@contextmanager
def serving(bundles: Path, folder: Path, admin_port: int, workers: int) -> Iterator[int]:
    """The first port of a running service whose admins come by another."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CTR_")}
    settings = {"ADMIN_TOKEN": TOKEN, "ADMIN_PORT": admin_port, "EVENTS": f"sqlite:{folder}/events", "WORKERS": workers}
    arms = [f"--{arm}-bundle={bundles / arm}" for arm in ("student", "teacher")]
    with subprocess.Popen(
        [sys.executable, "-m", "service", "serve", "--port", "0", *arms],
        stdout=subprocess.PIPE,
        text=True,
        env={**inherited, **{f"CTR_{name}": str(value) for name, value in settings.items()}},
    ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline().rpartition(":")[2])
        finally:
            process.terminate()


def ask(port: int, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, dict]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(method, path, body, {"Authorization": f"Bearer {TOKEN}", **headers})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.mark.parametrize("workers", [1, 2])
def test_the_admin_token_is_worth_something_on_the_admin_port_alone(
    bundles: Path, tmp_path: Path, workers: int
) -> None:
    admin_port = free_port()
    with serving(bundles, tmp_path, admin_port, workers) as port:
        toml = {"Content-Type": "application/toml", "X-Reason": "a test"}
        forged = {**toml, "Host": f"127.0.0.1:{admin_port}", "X-Forwarded-Port": str(admin_port)}
        status, problem = ask(port, "PUT", "/experiment", DOCUMENT, **forged)
        assert (status, problem["type"]) == (403, "urn:problem-type:ctr:admin-port")
        assert f"port {admin_port}, CTR_ADMIN_PORT" in problem["detail"]
        assert ask(admin_port, "PUT", "/experiment", DOCUMENT, **toml) == (200, {"revision": 1})
        assert ask(port, "POST", "/experiment/kill", **toml)[0] == 403
        assert ask(admin_port, "POST", "/experiment/kill", Authorization="Bearer guessed")[0] == 401
        assert ask(port, "POST", "/models/student/reload")[0] == 403
        assert ask(admin_port, "POST", "/models/student/reload")[0] == 200
        for used in (port, admin_port):
            status, answer = ask(used, "POST", "/predict", BODY, **{"Content-Type": "application/json"})
            assert (status, len(answer["probabilities"])) == (200, 2)


def test_an_arm_can_be_forced_by_the_admin_port_alone(open_client, tmp_path: Path) -> None:  # noqa: ANN001
    client = open_client(admin_token=TOKEN, admin_port=8001, events=f"sqlite:{tmp_path}/events")
    toml = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/toml", "X-Reason": "a test"}
    assert client.request("PUT", "http://test:8001/experiment", content=DOCUMENT, headers=toml).status_code == 200
    forced = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", "X-Arm": "teacher"}
    for port, result in ((8001, "ok"), (8000, "refused")):
        before = client.metric("ctr_forced_arms_total", result=result)
        client.post(f"http://test:{port}/predict", content=BODY, headers=forced)
        assert client.metric("ctr_forced_arms_total", result=result) == before + 1


def test_an_admin_port_in_use_is_one_line_and_a_failure(bundles: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "service", "serve", "--port", "0", f"--student-bundle={bundles / 'student'}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "CTR_ADMIN_PORT": str(port)},
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: cannot listen on 127.0.0.1 port {port}: Address already in use; ")
    assert "another CTR_ADMIN_PORT" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_the_admin_port_is_another_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTR_ADMIN_PORT", "8000")
    with pytest.raises(SettingsError, match=r"CTR_ADMIN_PORT: got '8000', expected .*another port than CTR_PORT"):
        read_settings(port=8000)
