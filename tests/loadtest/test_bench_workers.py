from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from loadtest.bench_workers import SIZES, Measured, http_request, medians, serving
from service.bundle import Bundle

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="CPU time is read from /proc")


def test_the_table_compares_one_worker_with_two_at_every_size(bundles: Path) -> None:
    options = ["--student-bundle", str(bundles / "student"), "--repetitions", "1", "--seconds", "0.3"]
    command = [sys.executable, "-m", "loadtest.bench_workers", *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in ended.stdout.splitlines()[3:]]
    assert [(int(row[0]), int(row[1])) for row in rows] == [(size, count) for size in SIZES for count in (1, 2)]
    for row in rows:
        rate, _against, server_us, server_cores, _load = (float(cell.replace(",", "")) for cell in row[2:])
        assert rate > 0
        # What a request costs and how many there are is what keeps the cores busy, as far as each is rounded.
        assert server_cores == pytest.approx(rate * server_us / 1e6, rel=0.1, abs=0.06)


def test_a_request_repeats_the_example_s_candidates(bundle: Bundle) -> None:
    request = http_request(bundle.example, 9)
    head, _, body = request.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    items = bundle.example["candidates"]["item"]
    assert orjson.loads(body)["candidates"]["item"] == [*items, *items, items[0]]


def test_a_service_that_is_not_ready_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"said .not ready: "), serving(tmp_path, 1):
        pass


def test_medians_are_of_each_figure() -> None:
    several = [Measured(rate=r, server_us=10 - r, server_cores=1, load_cores=r) for r in (1, 5, 3)]
    assert medians(several) == Measured(rate=3, server_us=7, server_cores=1, load_cores=3)
