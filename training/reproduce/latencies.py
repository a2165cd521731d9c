"""What onnxruntime takes for finished models: measured once, and once more if something else was busy meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from service.bundle import json_bytes, replace_file
from training.progress import console
from training.study.store import Store

QUIET = 0.5
"""Load average of the last minute, beyond which something else is busy. Trainings that just ended are, too."""


def latencies(store: Store, checkpoints: Mapping[str, str], load: float) -> dict[str, Any]:
    """Label → serving form, µs by N, executed multiplications, and the load average it was measured under.

    Args:
        store: keeps them, in `latencies.json`.
        checkpoints: label → path of a model.
        load: average of the last minute.
    """
    path = store.directory / "latencies.json"
    kept: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    missing = {label: where for label, where in checkpoints.items() if _is_missing(kept.get(label), where, load)}
    if missing:
        if load > QUIET:
            told = (
                f"load average is {load:.1f}: something is busy; the next call when nothing is measures latencies again"
            )
            console.print(told, style="yellow", highlight=False)
        found = _time(store, missing)
        kept |= {label: {**each, "checkpoint": missing[label], "load": load} for label, each in found.items()}
        replace_file(path, json_bytes(kept, indent=2))
    return {label: kept[label] for label in checkpoints}


def _is_missing(kept: Mapping[str, Any] | None, checkpoint: str, load: float) -> bool:
    if kept is None or kept["checkpoint"] != checkpoint:
        return True
    was_busy = kept.get("load", QUIET + 1) > QUIET
    return was_busy and load <= QUIET


def _time(store: Store, checkpoints: Mapping[str, str]) -> dict[str, Any]:
    """Ask the export, in a process of its own: training imports nothing of it."""
    asked = json.dumps({"data": str(store.prepared.directory), "checkpoints": checkpoints})
    command = [sys.executable, "-m", "export.latencies"]
    done = subprocess.run(command, input=asked, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found
