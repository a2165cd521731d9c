"""A worker and its shadow as two processes: what is left when the worker is killed, and what other workers see."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from service.multiprocess import MULTIPROCESS, AllWorkers
from tests.service.shadow.test_shadow import eventually, state_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="messages keep their bounds on Linux's sockets")

WORKER = """
import sys, time
import numpy as np
from service.metrics import Metrics
from service.settings import Settings
from service.shadow.message import AnsweredBy
from service.shadow.shadow import make_shadow

bundles, offers = sys.argv[1], int(sys.argv[2])
metrics = Metrics()
settings = Settings(student_bundle=f"{bundles}/student", teacher_bundle=f"{bundles}/teacher", events="")
shadow = make_shadow(settings, metrics)
shadow.start()
shadow.configure(1.0, ("student", "teacher"))
while shadow.pid is None:
    time.sleep(0.01)
print(shadow.pid, flush=True)
body = b'{"context": {"user": "u3", "hour": 13}, "items": ["i0", "i1"]}'
for _ in range(offers):
    shadow.offer(body, np.array([0.1, 0.2], np.float32), AnsweredBy("student", "s@1"), latency_s=0.001, request_id="r")
if offers:
    while metrics.registry.get_sample_value("ctr_shadow_total", {"result": "ok"}) < offers:
        time.sleep(0.02)
    shadow.close()
    metrics.scrape()
    print("counted", flush=True)
sys.stdin.read()
"""


@contextmanager
def worker(bundles: Path, offers: int, **variables: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A worker and the process id of its shadow."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CTR_")}
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, str(bundles), str(offers)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**inherited, **variables},
    ) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
        process.kill()


def gives_way(pid: int) -> bool:
    return os.sched_getscheduler(pid) == os.SCHED_IDLE


def tied(pid: int) -> bool:
    """Whether a child has tied itself to its worker: what it does next is to ignore SIGINT."""
    found = re.search(r"^SigIgn:\s*([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> (signal.SIGINT - 1) & 1)


def test_a_child_gives_way_from_its_first_instant(bundles: Path) -> None:
    with worker(bundles, offers=0) as (_, child):
        assert gives_way(child)


@pytest.mark.parametrize("stopped", [False, True])
def test_a_killed_worker_leaves_no_child_behind(bundles: Path, *, stopped: bool) -> None:
    with worker(bundles, offers=0) as (process, child):
        assert eventually(lambda: tied(child))
        if stopped:
            os.kill(child, signal.SIGSTOP)
        assert state_of(child) != "Z"
        process.kill()
        assert eventually(lambda: state_of(child) == "Z")


def test_a_scrape_of_any_worker_has_what_the_shadows_of_all_found(bundles: Path, tmp_path: Path) -> None:
    for offers in (3, 4):
        with worker(bundles, offers, **{MULTIPROCESS: str(tmp_path)}) as (process, child):
            assert process.stdout is not None
            assert process.stdout.readline() == "counted\n"
            assert not list(tmp_path.glob(f"*_{child}.db"))
    found = {
        (sample.name, sample.labels.get("result"), sample.labels.get("le")): sample.value
        for family in AllWorkers(tmp_path).collect()
        for sample in family.samples
    }
    assert found["ctr_shadow_total", "ok", None] == 7
    assert found["ctr_shadow_abs_diff_count", None, None] == 7 * 2
    assert found["ctr_shadow_abs_diff_bucket", None, "+Inf"] == 7 * 2


def test_every_worker_of_a_service_has_a_shadow_of_its_own(
    bundles: Path, serve: Callable[..., str], tmp_path: Path
) -> None:
    document = tmp_path / "document.toml"
    document.write_text('[shadow]\nshare = 1.0\nmodels = ["student", "teacher"]\n')
    options = [f"--{arm}-bundle={bundles / arm}" for arm in ("student", "teacher")]
    url = serve(*options, "--workers=2", CTR_EVENTS=f"sqlite:{tmp_path}/e.sqlite3", CTR_EXPERIMENT=str(document))
    body = {"context": {"user": "u3", "hour": 13}, "items": ["i0", "i1"]}
    sent = 0

    def ask() -> None:
        nonlocal sent
        assert httpx.post(f"{url}/predict", json=body).status_code == 200  # a connection each, for either worker
        sent += 1

    def counted() -> dict[str, float]:
        lines = [line for line in httpx.get(f"{url}/metrics").text.splitlines() if line.startswith("ctr_shadow_")]
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}

    def total(found: dict[str, float]) -> float:
        return sum(value for name, value in found.items() if name.startswith("ctr_shadow_total"))

    def agree(found: dict[str, float]) -> bool:
        return found["ctr_shadow_abs_diff_count"] == 2 * found['ctr_shadow_total{result="ok"}'] > 0

    def compared() -> bool:
        ask()  # what comes before a child has started is dropped
        return counted()['ctr_shadow_total{result="ok"}'] > 0

    for _ in range(16):
        ask()
    assert eventually(compared)
    assert eventually(lambda: total(counted()) == sent)
    assert eventually(lambda: agree(counted()))  # workers publish histograms a quarter of a second later
