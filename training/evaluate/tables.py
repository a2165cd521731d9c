"""Evaluations as tables for a terminal of 100 columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from training.metrics import CONFIDENCE
from training.progress import results_table
from training.run import Run


def overall_table(run: Run, report: Mapping[str, Any]) -> Table:
    """One line per model: metrics on the part, and AUC on validation, in brackets where those rows were trained on."""
    part = f"{report['part']} rows" + (", read once" if report["part"] == "test" else "")
    title = f"{run.config.run.name}: {report['rows']:,} {part} (AUC* is on validation; * calibration beyond chance)"
    columns = ("phase", "model", "AUC*", "AUC", "GAUC", "log loss", "NE", "calibr.", "|gap|", "FLOPs")
    table = results_table(title, *columns, left=2)
    seen = run.config.distill.train_on_validation
    if seen:
        table.caption = "in brackets: the student was trained on the validation rows too"
    for name, scores in report["scores"].items():
        told = report["reliability"][name]
        metrics = [_number(scores.get(key), 5) for key in ("auc", "gauc", "log_loss", "normalized_entropy")]
        metrics.append(_marked(scores.get("calibration"), told))
        if name not in run.phases:
            table.add_row(name, "", "", *metrics, _number(scores.get("logit_gap"), 3), "")
            continue
        trained = run.load(name)
        validation = _number(trained.meta["validation_auc"], 5)
        validation = f"({validation})" if seen and name == "distill" else validation
        gap = _number(scores["logit_gap"], 3)
        table.add_row(name, trained.model.name, validation, *metrics, gap, f"{trained.model.flops():,}")
    return table


def slices_table(report: Mapping[str, Any], shown: str) -> Table:
    """One line per slice, for the model of one phase; a star marks a calibration that chance does not explain."""
    found = report["slices"]
    outside = sum(not each["scores"][shown]["by_chance"] for each in found)
    by_chance = (1 - CONFIDENCE) * len(found)
    title = (
        f"{shown} by {report['by']}, {report['part']} rows: {outside} of {len(found)} beyond chance (*), "
        f"{by_chance:.1f} expected"
    )
    columns = (report["by"], "rows", "clicked", "AUC", "GAUC", "log loss", "NE", "calibr.", "chance")
    table = results_table(title, *columns)
    for each in found:
        scores = each["scores"][shown]
        metrics = [_number(scores[key], 4) for key in ("auc", "gauc", "log_loss", "normalized_entropy")]
        calibration = [_marked(scores["calibration"], scores), _band(scores["null_band"])]
        table.add_row(each["slice"], f"{each['rows']:,}", f"{each['click_rate']:.1%}", *metrics, *calibration)
    return table


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _marked(calibration: float | None, told: Mapping[str, Any]) -> str:
    return _number(calibration, 4) + (" " if told["by_chance"] else "*")


def _band(band: tuple[float, float | None]) -> str:
    return f"{band[0]:.3f}-{'∞' if band[1] is None else f'{band[1]:.3f}'}"
