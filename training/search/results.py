"""What a search found: a line per point, the table, the best configuration. All of it from validation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from service.bundle import replace_file
from training.checkpoint import load_tensors
from training.config import from_dict
from training.progress import results_table
from training.search.grid import spelt
from training.search.plan import Point

HIGHER_IS_BETTER = {"auc": True, "log_loss": False, "logit_gap": False}
"""Metrics that may decide."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One point that ended.

    Attributes:
        point: what was trained.
        validation: metric → value of the last phase's kept epoch; empty if it failed.
        epoch: the epoch that was kept.
        seconds: of its phases, shared ones included.
        failure: why there is nothing, or "".
    """

    point: Point
    validation: Mapping[str, float]
    epoch: int
    seconds: float
    failure: str = ""


def result_of(point: Point, phase: str, seconds: float) -> Result:
    """The result of a point whose phases have ended; raises CheckpointError."""
    _, meta = load_tensors(point.run.checkpoint(phase))
    validation = {
        key.removeprefix("validation_"): value for key, value in meta.items() if key.startswith("validation_")
    }
    return Result(point=point, validation=validation, epoch=int(meta["best_epoch"]), seconds=seconds)


def best_of(results: Sequence[Result], metric: str) -> Result | None:
    """The point that validation prefers, the first of equals; None if none has the metric."""
    told = [result for result in results if metric in result.validation]
    sign = 1 if HIGHER_IS_BETTER[metric] else -1
    return max(told, key=lambda result: sign * result.validation[metric], default=None)


def write_lines(root: Path, results: Sequence[Result]) -> Path:
    """results.jsonl, whole or not at all."""
    lines = [
        {
            "set": dict(result.point.chosen),
            "run": str(result.point.run.directory.relative_to(root)),
            "validation": dict(result.validation),
            "best_epoch": result.epoch,
            "seconds": round(result.seconds, 1),
            **({"failure": result.failure} if result.failure else {}),
        }
        for result in results
    ]
    path = root / "results.jsonl"
    replace_file(path, "".join(json.dumps(line) + "\n" for line in lines).encode())
    return path


def write_best(root: Path, best: Result, name: str) -> Path:
    """best.toml: the configuration of a point under a name of its own, ready for `python -m training run`."""
    sections = best.point.run.config.to_dict()
    config = from_dict({**sections, "run": {**sections["run"], "name": name}}, "best point")
    path = root / "best.toml"
    head = f"# The best of a search, by validation: {spelt(best.point.chosen)}\n"
    replace_file(path, (head + config.to_toml()).encode())
    return path


def search_table(results: Sequence[Result], metric: str, title: str) -> Table:
    """A line per point, best first, those that failed last."""
    best = best_of(results, metric)
    sign = -1 if HIGHER_IS_BETTER[metric] else 1
    names = list(results[0].point.chosen)
    table = results_table(title, *names, "AUC", "log loss", "epoch", "seconds", "", left=len(names))
    for result in sorted(results, key=lambda each: (bool(each.failure), sign * each.validation.get(metric, 0.0))):
        values = [str(value) for value in result.point.chosen.values()]
        if result.failure:
            table.add_row(*values, "failed", "", "", "", "")
            continue
        told: list[Any] = [f"{result.validation['auc']:.5f}", f"{result.validation['log_loss']:.5f}"]
        mark = "best" if result is best else ""
        table.add_row(*values, *told, str(result.epoch), f"{result.seconds:,.0f}", mark)
    return table
