"""Pictures of a report: tables as dots with their spread, Table 3 as AUC against FLOPs, the figures of the papers."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from service.bundle import replace_file

Plain = Mapping[str, Any]
Curves = Mapping[str, Sequence[float]]

OURS, THEIRS, QUIET = "#1f6f8b", "#d1495b", "0.6"
_TICKS = 6
"""More labels of four decimals run into each other."""


def draw(report: Plain, gaps: Curves, folder: Path) -> dict[str, str]:
    """Write every picture that has something to show; returns table's name → file name.

    Args:
        report: `report.json`.
        gaps: student → squared logit gap to its teacher on validation, after each epoch.
        folder: where the pictures go.
    """
    special: Mapping[str, Callable[[Plain], Figure]] = {"table3": accuracy_and_cost, "figure4": _depths}
    pictures: dict[str, str] = {}
    for name, table in report["tables"].items():
        finished = [row for row in table["rows"] if row["seeds"]]
        if finished:
            pictures[name] = f"{name}.png"
            _write(special.get(name, _dots)({**table, "rows": finished}), folder / pictures[name])
    if gaps:
        _write(_curves(gaps), folder / "figure3.png")
        pictures["figure3"] = "figure3.png"
    return pictures


def _dots(table: Plain) -> Figure:
    """One line per row: mean and spread of AUC and of log loss, the published value beside it."""
    rows = table["rows"]
    figure = Figure(figsize=(11, 1.4 + 0.32 * len(rows)), layout="constrained")
    figure.suptitle(table["title"])
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, name, label in ((left, "auc", "test AUC"), (right, "log_loss", "test log loss")):
        for height, row in enumerate(rows):
            _dot(axes, row[name], height)
            if row["published"] is not None:
                axes.plot(row["published"][name], height, "D", color=THEIRS, markersize=5, markerfacecolor="none")
        axes.set_xlabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(_TICKS))
        axes.grid(axis="x", alpha=0.3)
    left.set_yticks(range(len(rows)), [row["label"] for row in rows])
    left.set_ylim(len(rows) - 0.5, -0.5)
    _explain(left, published=any(row["published"] for row in rows), seeds=True)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    return figure


def _dot(axes: Axes, spread: Plain, height: float) -> None:
    axes.plot(spread["values"], [height] * len(spread["values"]), "|", color=QUIET, markersize=9)
    axes.errorbar(spread["mean"], height, xerr=spread["deviation"] or 0.0, fmt="o", color=OURS, markersize=6, capsize=3)


def _explain(axes: Axes, *, published: bool, seeds: bool) -> None:
    """What a legend tells of the marks."""
    axes.plot([], [], "o", color=OURS, label="mean ± standard deviation")
    if seeds:
        axes.plot([], [], "|", color=QUIET, markersize=9, label="one seed")
    if published:
        axes.plot([], [], "D", color=THEIRS, markerfacecolor="none", label="published")


def accuracy_and_cost(table: Plain) -> Figure:
    """AUC against multiplications per row, published points tied to ours; every row named at its point or above it."""
    figure = Figure(figsize=(11, 6.5), layout="constrained")
    figure.suptitle(f"{table['title']}: what accuracy costs")
    axes = figure.subplots()
    for row in table["rows"]:
        ours, theirs = row["auc"]["mean"], row["published"]
        if theirs is not None:
            axes.plot([row["flops"]] * 2, [theirs["auc"], ours], "-", color=QUIET, linewidth=0.8)
            axes.plot(row["flops"], theirs["auc"], "D", color=THEIRS, markerfacecolor="none", markersize=5)
        axes.errorbar(row["flops"], ours, yerr=row["auc"]["deviation"] or 0.0, fmt="o", color=OURS, capsize=3)
    axes.set_xscale("log")
    axes.margins(x=0.12)
    heights = _label_heights(table["rows"])
    lowest, highest = axes.get_ylim()
    axes.set_ylim(lowest, max(highest, max(heights) + (highest - lowest) / 36))
    for row, height in zip(table["rows"], heights, strict=True):
        place = (row["flops"], height)
        axes.annotate(row["label"], place, xytext=(8, -3), textcoords="offset points", fontsize=8)
    axes.set_xlabel("multiplications per row")
    axes.set_ylabel("test AUC")
    axes.grid(alpha=0.3)
    _explain(axes, published=True, seeds=False)
    axes.legend(loc="lower right", fontsize=8)
    return figure


def _label_heights(rows: Sequence[Plain]) -> list[float]:
    """Where each row's label stands: at its point, or as far above it as labels of like FLOPs need not to overlap."""
    means: list[float] = [row["auc"]["mean"] for row in rows]
    shown = means + [row["published"]["auc"] for row in rows if row["published"] is not None]
    room = max(max(shown) - min(shown), 1e-3) / 36
    heights = list(means)
    placed: list[int] = []
    for number in sorted(range(len(rows)), key=means.__getitem__):
        for other in placed:
            near = abs(math.log10(rows[number]["flops"] / rows[other]["flops"])) < 0.6  # noqa: PLR2004 - a label's width
            if near and heights[number] - heights[other] < room:
                heights[number] = heights[other] + room
        placed.append(number)
    return heights


def _depths(table: Plain) -> Figure:
    """AUC and log loss over the number of propagation layers, one line per student, a level one per teacher."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    figure.suptitle(table["title"])
    students, teachers = _by_student(table["rows"])
    for axes, name, label in zip(
        figure.subplots(1, 2), ("auc", "log_loss"), ("test AUC", "test log loss"), strict=True
    ):
        for number, (student, points) in enumerate(students.items()):
            depths = [depth for depth, _ in points]
            means = [row[name]["mean"] for _, row in points]
            spreads = [row[name]["deviation"] or 0.0 for _, row in points]
            colour = f"C{number}"
            axes.errorbar(depths, means, yerr=spreads, marker="o", markersize=4, capsize=3, color=colour, label=student)
        for number, row in enumerate(teachers):
            style = ("--", ":")[number % 2]
            axes.axhline(row[name]["mean"], linestyle=style, color=QUIET, label=f"{row['label']} (teacher)")
        axes.set_xlabel("propagation layers")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
    told = len(students) + len(teachers)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=told, fontsize=8)
    return figure


def _by_student(rows: Sequence[Plain]) -> tuple[dict[str, list[tuple[int, Plain]]], list[Plain]]:
    """Student → (depth, row), from labels like `inner, 3, fine-tuned`; and the rows of teachers, without a depth."""
    students: dict[str, list[tuple[int, Plain]]] = {}
    teachers: list[Plain] = []
    for row in rows:
        kind, *more = row["label"].split(", ")
        if more:
            students.setdefault(", ".join((kind, *more[1:])), []).append((int(more[0]), row))
        else:
            teachers.append(row)
    return students, teachers


def _curves(gaps: Curves) -> Figure:
    """KD-DAGFM, Figure 3: the distillation loss of different students of one teacher."""
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    figure.suptitle("KD-DAGFM, Figure 3: squared logit gap to the teacher on validation")
    axes = figure.subplots()
    for student, values in gaps.items():
        axes.plot(range(1, len(values) + 1), values, marker="o", markersize=3, label=student)
    axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.set_ylabel("mean squared gap")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _write(figure: Figure, path: Path) -> None:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    replace_file(path, content.getvalue())
