"""Several workers as their users run them: real processes on one port, killed, counted and stopped."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service.multiprocess import MULTIPROCESS, AllWorkers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are watched through /proc")

BODY = json.dumps({"context": {"user": "u3", "hour": 13}, "items": ["i0", "i1"]})
JSON = {"Content-Type": "application/json"}
ESTABLISHED = "01"


@dataclass(frozen=True)
class Running:
    """A started service."""

    process: subprocess.Popen[str]
    greeting: list[str]

    @property
    def port(self) -> int:
        return int(re.findall(r":(\d+)", self.greeting[-1])[0])

    def workers(self) -> list[int]:
        """Process ids of the children that serve; multiprocessing keeps one more that does not."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if "spawn_main" in command_of(int(pid))]

    def directory(self) -> Path:
        """Where the workers keep their metrics."""
        environment = Path(f"/proc/{self.workers()[0]}/environ").read_text().split("\0")
        return Path(next(line for line in environment if line.startswith(MULTIPROCESS)).partition("=")[2])

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def predict(self) -> int:
        """The status of one request over a connection of its own."""
        with closing(self.connect()) as connection:
            connection.request("POST", "/predict", BODY, JSON)
            return connection.getresponse().status

    def metrics(self) -> dict[str, float]:
        """Every sample of one scrape, by its name and labels."""
        with closing(self.connect()) as connection:
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            assert answer.status == 200
            lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except FileNotFoundError:
        return ""


def alive(pid: int) -> bool:
    """Whether a process still runs; one that ended and was not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(condition: Callable[[], Any], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def connections_of(pid: int, port: int) -> int:
    """How many open connections to `port` a process holds."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {row[9] for row in rows if int(row[1].split(":")[1], 16) == port and row[3] == ESTABLISHED}
    held = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            held += descriptor.readlink().name.removeprefix("socket:[").removesuffix("]") in inodes
    return held


@contextmanager
def serving(*options: str, lines: int = 3, **variables: str) -> Iterator[Running]:
    """A running service; whatever is left of it is killed at the end."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CTR_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "service", "serve", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**inherited, **variables},
    )
    assert process.stdout is not None
    running = Running(process, [process.stdout.readline().rstrip("\n") for _ in range(lines)])
    workers = running.workers()
    try:
        yield running
    finally:
        if process.poll() is None:
            workers += running.workers()
            process.kill()
        for pid in workers:
            if "spawn_main" in command_of(pid):
                os.kill(pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def student(bundles: Path) -> tuple[str, str]:
    return "--student-bundle", str(bundles / "student")


def test_connections_are_spread_over_the_workers_and_every_scrape_counts_all(student: tuple[str, str]) -> None:
    with serving(*student, "--workers", "2") as running:
        workers = running.workers()
        assert len(workers) == 2
        with ExitStack() as opened:
            for _ in range(16):
                connection = opened.enter_context(closing(running.connect()))
                connection.request("POST", "/predict", BODY, JSON)
                assert connection.getresponse().read()
            held = [connections_of(pid, running.port) for pid in workers]
        assert sum(held) == 16
        assert min(held) > 0
        time.sleep(0.5)  # probabilities reach other workers' scrapes every quarter of a second
        for _ in range(6):
            counted = running.metrics()
            assert counted['ctr_candidates_total{model="tiny-student@v1"}'] == 32
            assert counted['ctr_score_count{model="tiny-student@v1"}'] == 32
            assert counted['ctr_score_bucket{le="1.0",model="tiny-student@v1"}'] == 32
            assert counted["ctr_workers"] == 2
            assert counted["ctr_inflight"] == 1  # this scrape
            assert counted['ctr_model_flops_per_candidate{kind="executed",model="tiny-student@v1"}'] == 100
            assert not [name for name in counted if name.startswith("process_")]


def test_counters_never_go_down_and_answers_go_on_when_a_worker_is_killed(student: tuple[str, str]) -> None:
    with serving(*student, "--workers", "2") as running:
        sums: list[dict[str, float]] = [{}]

        def answer_and_scrape(times: int) -> None:
            for _ in range(times):
                assert running.predict() == 200
                now = {k: v for k, v in running.metrics().items() if "_total" in k or "_count" in k or "_bucket" in k}
                fallen = {name: (sums[-1][name], now[name]) for name in sums[-1] if now.get(name, -1) < sums[-1][name]}
                assert not fallen
                sums.append(now)

        answer_and_scrape(20)
        time.sleep(0.5)
        killed, kept = running.workers()
        os.kill(killed, signal.SIGKILL)
        assert eventually(lambda: not Path(f"/proc/{killed}").exists())  # its sockets are closed
        answer_and_scrape(20)
        assert eventually(lambda: len(running.workers()) == 2 and running.metrics().get("ctr_workers") == 2)
        assert killed not in running.workers()
        assert kept in running.workers()
        answer_and_scrape(20)
        assert sums[-1]['ctr_candidates_total{model="tiny-student@v1"}'] == 120
        assert not list(running.directory().glob(f"gauge_*_{killed}.db"))


def test_a_stop_answers_what_is_in_flight_and_leaves_nothing_behind(student: tuple[str, str]) -> None:
    with serving(*student, "--workers", "2") as running, ExitStack() as opened:
        workers, directory = running.workers(), running.directory()
        assert directory.stat().st_mode & 0o777 == 0o700
        address = "127.0.0.1", running.port
        connections = [opened.enter_context(socket.create_connection(address, timeout=10)) for _ in range(4)]
        head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}"
        for connection in connections:
            connection.sendall(f"{head}\r\n\r\n{BODY[:10]}".encode())
        assert eventually(lambda: sum(connections_of(pid, running.port) for pid in workers) == 4)
        running.process.send_signal(signal.SIGTERM)
        time.sleep(1)
        for connection in connections:
            connection.sendall(BODY[10:].encode())
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            connection.close()
        assert running.process.wait(20) == 0
        assert not [pid for pid in workers if alive(pid)]
        assert not directory.exists()


def test_an_interrupt_is_a_stop_too(student: tuple[str, str]) -> None:
    with serving(*student, "--workers", "2") as running:
        workers = running.workers()
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(20) == 0
        assert not [pid for pid in workers if alive(pid)]


def test_a_bad_bundle_is_said_once_and_its_workers_live(tmp_path: Path) -> None:
    with serving("--student-bundle", str(tmp_path), "--workers", "2", lines=2) as running:
        assert running.greeting[0].startswith(f"not ready: no student answers: {tmp_path}: neither CURRENT nor ")
        workers = running.workers()
        time.sleep(2)
        assert running.workers() == workers
        assert running.predict() == 503
        running.process.send_signal(signal.SIGTERM)
        assert running.process.communicate(timeout=20)[0] == ""
        assert running.process.returncode == 0


def test_workers_that_die_before_they_are_ready_end_the_service(student: tuple[str, str], tmp_path: Path) -> None:
    """What a worker imports first ends it: no number of new ones would live."""
    ending = "import os, sys, threading\nif '--multiprocessing-fork' in sys.orig_argv:\n"
    (tmp_path / "sitecustomize.py").write_text(f"{ending}    threading.Timer(0.5, os._exit, [7]).start()\n")
    with serving(*student, "--workers", "2", lines=0, PYTHONPATH=str(tmp_path)) as running:
        _, errors = running.process.communicate(timeout=60)
        assert running.process.returncode == 1
        assert "3 workers in a row died before they were ready (the last with exit code 7); giving up" in errors


def test_workers_end_with_a_supervisor_that_was_killed(student: tuple[str, str], tmp_path: Path) -> None:
    with serving(*student, "--workers", "2", TMPDIR=str(tmp_path)) as running:  # nobody is left to clear it
        workers = running.workers()
        running.process.kill()
        assert eventually(lambda: not [pid for pid in workers if alive(pid)])


def test_a_port_that_other_workers_have_is_in_use(student: tuple[str, str]) -> None:
    with serving(*student, "--workers", "2") as running:
        command = [sys.executable, "-m", "service", "serve", *student, "--workers", "2", "--port", str(running.port)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert second.returncode == 1
        assert second.stderr.startswith(f"error: cannot listen on 127.0.0.1 port {running.port}: Address already in ")


def test_a_hangup_replaces_every_worker_and_forgets_no_count(student: tuple[str, str]) -> None:
    with serving(*student, "--workers", "2") as running:
        assert running.predict() == 200
        before = set(running.workers())
        running.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: len(running.workers()) == 2 and not before & set(running.workers()), 40)
        assert eventually(lambda: running.metrics()["ctr_workers"] == 2)
        assert running.predict() == 200
        assert running.metrics()['ctr_candidates_total{model="tiny-student@v1"}'] == 4


def test_one_worker_is_the_process_itself(student: tuple[str, str]) -> None:
    with serving(*student) as running:
        children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text()
        assert children == ""
        assert running.metrics()["process_resident_memory_bytes"] > 0


def test_a_file_that_is_just_being_made_breaks_no_scrape(tmp_path: Path) -> None:
    (tmp_path / "counter_1.db").touch()
    assert list(AllWorkers(tmp_path).collect()) == []
