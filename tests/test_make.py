"""`make serve` itself, from no bundle to the answer of the curl line it prints, on a small generated click log."""

import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.slow
def test_make_serve_trains_once_serves_and_prints_a_curl_line_that_works(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("CTR_", "MAKE"))}
    port = free_port()
    options = [
        f"BUNDLES={tmp_path}/bundles",
        f"PORT={port}",
        f"TRAIN=--config training/configs/smoke.toml --runs {tmp_path}",
    ]
    command = ["make", "--no-print-directory", "serve", *options]
    environment["CTR_RUNS"] = str(tmp_path)
    server = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert server.stdout is not None
        line = next(line for line in server.stdout if line.startswith("curl"))
        assert f"http://127.0.0.1:{port}/predict" in line
        answer = json.loads(subprocess.run(["/bin/bash", "-c", line], capture_output=True, check=True).stdout)
        assert re.fullmatch(r"smoke-dagfm_outer@[0-9a-f]{12}", answer["model"])
        assert all(0 < probability < 1 for probability in answer["probabilities"])
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.communicate(timeout=30)
    dry = subprocess.run([*command, "--dry-run"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert "training run" not in dry.stdout, "a second `make serve` must not train again"
