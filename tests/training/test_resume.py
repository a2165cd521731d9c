"""kill -9 in any epoch and resume: the same metrics, to the last digit, as a run that was never killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from training.config import from_dict
from training.run import PHASES, Run
from training.teach import teach

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "training", "run", "--config")


def start(config: Path, runs: Path) -> subprocess.Popen[bytes]:
    """All phases in a process of their own."""
    environment = {**os.environ, "CTR_RUNS": str(runs)}
    environment.pop("CTR_DATA", None)
    return subprocess.Popen([*COMMAND, str(config)], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)


def finished_epochs(runs: Path) -> int:
    """Epochs on disk over all phases."""
    return sum(len(path.read_text().splitlines()) for path in runs.glob("*/*/metrics.jsonl"))


def results(runs: Path) -> dict[str, str]:
    """Everything the phases and the test split gave, as text."""
    run = next(runs.iterdir())
    files = [*(f"{phase}/metrics.jsonl" for phase in PHASES), "test.json"]
    return {name: (run / name).read_text() for name in files}


@pytest.fixture
def config(run: Run, tmp_path: Path) -> Path:
    """The tiny run, its teacher's tables updated lazily, its student's at every step."""
    written = run.config.to_dict()
    written["teach"]["embedding_updates"] = "lazy"
    path = tmp_path / "lazy.toml"
    path.write_text(from_dict(written, "tests").to_toml())
    return path


def test_a_killed_run_resumes_to_the_same_metrics_and_checkpoints(config: Path, tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    assert start(config, undisturbed).wait(timeout=300) == 0
    kills = 0
    process = start(config, killed)
    while process.poll() is None:
        seen = finished_epochs(killed)
        deadline = time.monotonic() + 60
        while process.poll() is None and finished_epochs(killed) < seen + 2 and time.monotonic() < deadline:
            time.sleep(0.005)
        if process.poll() is None and kills < 4:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            process = start(config, killed)
    assert process.returncode == 0
    assert kills >= 3, "the run ended before it could be killed often enough"
    assert results(killed) == results(undisturbed)


def test_a_finished_phase_is_not_trained_again(run: Run) -> None:
    first = teach(run)["teacher"]
    changed_at = run.checkpoint("teach").stat().st_mtime_ns
    assert teach(run)["teacher"].digest == first.digest
    assert run.checkpoint("teach").stat().st_mtime_ns == changed_at
