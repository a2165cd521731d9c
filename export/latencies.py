"""`python -m export.latencies`: what onnxruntime takes for checkpoints, in the fastest serving form of each.

    stdin    {"data": prepared folder, "checkpoints": {name: path of a model.safetensors}}
    stdout   {name: {"form": serving form, "us": {N: µs per request}, "executed": multiplications per candidate}}

One thread, N candidates of one context. A command of its own, because training must not import the export.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from export.pack import export_model
from training.checkpoint import load_model
from training.data.prepare import open_prepared
from training.progress import steps


def latencies(data: Path, checkpoints: dict[str, str]) -> dict[str, Any]:
    """Form, µs by N, and executed multiplications at N = 200, of each checkpoint."""
    prepared = open_prepared(data)
    context_fields = len(prepared.encoder.schema.context)
    found: dict[str, Any] = {}
    with steps("latencies", len(checkpoints) + 1) as report:
        for name, path in checkpoints.items():
            report(name)
            exported = export_model(load_model(Path(path), prepared).model, context_fields)
            timings = {
                size: min(times[size] for times in exported.graph.timings_us.values())
                for size in ("1", "50", "200", "1000")
            }
            found[name] = {"form": exported.graph.form, "us": timings, "executed": exported.executed}
    return found


def main() -> None:
    """Read what is asked, write what was found."""
    asked = json.load(sys.stdin)
    json.dump(latencies(Path(asked["data"]), asked["checkpoints"]), sys.stdout)


if __name__ == "__main__":
    main()
