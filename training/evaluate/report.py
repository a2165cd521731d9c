"""Reports of a part: overall, and by slice; each a JSON file and a picture in the run's folder.

test.json, test.png                      the models on the test part: metrics, reliability diagram
test_by_FIELD.json, test_by_FIELD.png    the same by slice
validation….json, validation….png        as above, on validation, to be read at will
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from service.bundle import json_bytes, replace_file
from training.data.prepare import open_prepared
from training.evaluate.scored import BEST_REACHABLE, Scored, evaluated, scored_part, teacher_logits
from training.evaluate.scores import bins, chance, grouped, scores
from training.evaluate.slices import Slicing, slices
from training.metrics import calibration
from training.run import Run

Report = dict[str, Any]

_FORMAT = 2
"""Of test.json; one of another format is made again, from the logits if they are there."""


def evaluate_test(run: Run) -> Report:
    """Test metrics of the run's models, of several teachers together, and the best reachable where a click model made
    the data. Teachers together are the average of their logits, which is also what logit gaps are measured to.

    The result is kept with the digests of the checkpoints; asked again for the same ones, it is read back and the
    test split stays closed.
    """
    path = run.directory / "test.json"
    models, others = evaluated(run, open_prepared(run.directory / "data"))
    digests = {name: model.digest for name, model in (models | others).items()}
    kept = _kept(path)
    if (kept.get("format"), kept.get("checkpoints")) == (_FORMAT, digests):
        path.touch()  # the run that finished last is the one `export` takes
        return kept
    return evaluate_part(run, "test")


def evaluate_part(run: Run, part: str) -> Report:
    """Metrics of the run's models on `validation` or `test`, written as {part}.json."""
    scored = scored_part(run, part)
    report: Report = {
        "format": _FORMAT,
        "part": part,
        "rows": len(scored),
        "click_rate": float(scored.clicks_N.mean()),
        "groups": _groups(scored),
        "scores": _overall(scored),
        "reliability": {name: _reliability(scored, name) for name in scored.logits},
        "checkpoints": dict(scored.checkpoints),
    }
    replace_file(run.directory / f"{part}.json", json_bytes(report, indent=2))
    return report


def evaluate_slices(run: Run, part: str, slicing: Slicing, *, top: int = 12) -> Report:
    """Metrics by slice of every model, written as {part}_by_{slicing}.json.

    Args:
        run: its three phases have ended.
        part: `validation` or `test`.
        slicing: what the slices are.
        top: values with a slice of their own, the largest; the rest are one slice.
    """
    scored = scored_part(run, part)
    groups_N = None if slicing.field == scored.prepared.group_field else scored.groups_N
    found = []
    for name, mask_N in slices(slicing, scored.prepared, part, top):
        clicks_N = scored.clicks_N[mask_N]
        inside_N = None if groups_N is None else groups_N[mask_N]
        models = {
            model: scores(logits_N[mask_N], clicks_N, inside_N) | chance(logits_N[mask_N], clicks_N)
            for model, logits_N in scored.logits.items()
        }
        described = {"slice": name, "rows": len(clicks_N), "click_rate": float(clicks_N.mean())}
        found.append({**described, "clicks": int(clicks_N.sum()), "scores": models})
    report = {"part": part, "by": str(slicing), "rows": len(scored), "slices": found}
    report["checkpoints"] = dict(scored.checkpoints)
    replace_file(run.directory / f"{part}_by_{slicing.file_name}.json", json_bytes(report, indent=2))
    return report


def _kept(path: Path) -> Report:
    """What was written before; nothing if it is missing or damaged, for then it is made again."""
    try:
        kept: Report = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return kept


def _overall(scored: Scored) -> dict[str, dict[str, float]]:
    """Model → metrics, those the rows can tell; with the mean distance of its logits from the teachers' average."""
    teacher_N = teacher_logits(scored.logits)
    found: dict[str, dict[str, float]] = {}
    for name, logits_N in scored.logits.items():
        told = scores(logits_N, scored.clicks_N, scored.groups_N)
        found[name] = {metric: value for metric, value in told.items() if value is not None}
        if name != BEST_REACHABLE:
            found[name]["logit_gap"] = float(np.mean(np.abs(logits_N - teacher_N)))
    return found


def _reliability(scored: Scored, name: str) -> dict[str, Any]:
    logits_N = scored.logits[name]
    ratio = calibration(logits_N, scored.clicks_N)
    return {"calibration": ratio, **chance(logits_N, scored.clicks_N), **bins(logits_N, scored.clicks_N)}


def _groups(scored: Scored) -> dict[str, Any] | None:
    """What GAUC rests on; None without a field to rank within."""
    found = grouped(next(iter(scored.logits.values())), scored.clicks_N, scored.groups_N)
    if found is None:
        return None
    return {
        "field": scored.prepared.group_field,
        "groups": found.groups,
        "rows": found.rows,
        "groups_left_out": found.groups_left_out,
        "rows_left_out": len(scored) - found.rows,
    }
