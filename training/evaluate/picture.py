"""Pictures of an evaluation: reliability diagrams, and calibration by slice; chance is drawn beside every figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, NullLocator

from training.metrics import CONFIDENCE
from training.plots import CHANCE, GREY, INSIDE, MARKS, OUTSIDE, save, tidy
from training.run import Run

_WIDEST = 4.0
"""Bands are cut here, in either direction as a factor: a slice of ten rows would flatten all others."""


def draw_part(run: Run, report: Mapping[str, Any]) -> Path:
    """Reliability diagrams, {part}.png: per model, observed over promised click rate, and their difference below."""
    found, part = report["reliability"], report["part"]
    title = f"{run.config.run.name}: what was promised and what was clicked, {report['rows']:,} {part} rows"
    figure = Figure(figsize=(3.4 * len(found) + 0.6, 5.8), layout="constrained")
    figure.suptitle(title, fontsize=11)
    panels = figure.subplots(2, len(found), squeeze=False, sharex=True, sharey="row", height_ratios=(3, 2))
    for column, (name, told) in enumerate(found.items()):
        _diagonal(panels[0, column], name, told)
        _difference(panels[1, column], told)
    panels[0, 0].set_ylabel("click rate observed")
    panels[1, 0].set_ylabel("observed - promised")
    figure.legend(handles=_legend("bin of rows"), loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return save(figure, run.directory / f"{part}.png")


def _diagonal(axes: Axes, name: str, told: Mapping[str, Any]) -> None:
    bins = told["bins"]
    most = max(*bins["predicted"], *bins["observed"]) * 1.05
    axes.plot([0, most], [0, most], color=GREY, linewidth=0.8, linestyle=":")
    axes.fill_between(bins["predicted"], bins["low"], bins["high"], color=CHANCE, linewidth=0)
    axes.scatter(bins["predicted"], bins["observed"], s=16, c=_colours(bins), zorder=3)
    low, high = told["null_band"]
    error, by_chance = told["calibration_error"], told["calibration_error_by_chance"]
    axes.set_title(
        f"{name}\ncalibration {told['calibration']:.4f}  (chance {low:.4f} to {high or inf:.4f})\n"
        f"calibration error {error:.4f}  (chance {by_chance:.4f})",
        fontsize=8.5,
    )
    tidy(axes)


def _difference(axes: Axes, told: Mapping[str, Any]) -> None:
    bins = told["bins"]
    low, high, gap = (
        [value - promised for value, promised in zip(bins[key], bins["predicted"], strict=True)]
        for key in ("low", "high", "observed")
    )
    axes.axhline(0, color=GREY, linewidth=0.8, linestyle=":")
    axes.fill_between(bins["predicted"], low, high, color=CHANCE, linewidth=0)
    axes.scatter(bins["predicted"], gap, s=16, c=_colours(bins), zorder=3)
    axes.set_xlabel("click rate promised")
    tidy(axes)


def draw_slices(run: Run, report: Mapping[str, Any], shown: str) -> Path:
    """{part}_by_{slicing}.png, a line per slice: calibration of the model of phase `shown` with its null band; AUC and
    normalized entropy (NE) of every model.
    """
    found, part = report["slices"], report["part"]
    title = f"{run.config.run.name}, {shown}, by {report['by']}: {report['rows']:,} {part} rows"
    figure = Figure(figsize=(12, 1.6 + 0.32 * len(found)), layout="constrained")
    figure.suptitle(title, fontsize=11)
    left, middle, right = figure.subplots(1, 3, sharey=True, width_ratios=(5, 3, 3))
    names = [f"{each['slice']}  ({each['rows']:,})" for each in found]
    left.set_yticks(range(len(names)), names)
    left.set_ylim(len(names) - 0.4, -0.6)
    _calibrations(left, [each["scores"][shown] for each in found])
    models = _models(middle, found, "auc", "AUC")
    _models(right, found, "normalized_entropy", "NE (lower is better)")
    handles = [*_legend("slice"), *models]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)
    return save(figure, run.directory / f"{part}_by_{report['by'].replace(':', '-')}.png")


def _calibrations(axes: Axes, told: Sequence[Mapping[str, Any]]) -> None:
    axes.set_xscale("log")
    axes.axvline(1, color=GREY, linewidth=0.8, linestyle=":")
    for line, score in enumerate(told):
        low, high = score["null_band"]
        low, high = max(low, 1 / _WIDEST), min(high or _WIDEST, _WIDEST)
        axes.barh(line, high - low, left=low, height=0.62, color=CHANCE, linewidth=0)
        ratio = min(score["calibration"] or _WIDEST, _WIDEST)
        axes.plot(max(ratio, 1 / _WIDEST), line, "o", markersize=5, color=INSIDE if score["by_chance"] else OUTSIDE)
    axes.use_sticky_edges = False
    axes.margins(x=0.04)
    axes.xaxis.set_major_locator(MaxNLocator(7))
    axes.xaxis.set_major_formatter(lambda value, _position: f"{value:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_title("calibration (promised over observed clicks)", fontsize=9)
    tidy(axes)


def _models(axes: Axes, found: Sequence[Mapping[str, Any]], metric: str, label: str) -> list[Line2D]:
    """A mark per slice and model, where the metric is known; one line of marks per model for the legend."""
    drawn = []
    for (mark, colour), model in zip(MARKS, found[0]["scores"], strict=False):
        values = [each["scores"][model][metric] for each in found]
        known = [(value, line) for line, value in enumerate(values) if value is not None]
        points = ([value for value, _ in known], [line for _, line in known])
        drawn += axes.plot(*points, mark, color=colour, markersize=5, alpha=0.85, label=model)
    axes.set_title(label, fontsize=9)
    tidy(axes)
    return drawn


def _colours(bins: Mapping[str, Sequence[float]]) -> list[str]:
    ends = zip(bins["low"], bins["observed"], bins["high"], strict=True)
    return [INSIDE if low <= value <= high else OUTSIDE for low, value, high in ends]


def _legend(what: str) -> list[Artist]:
    dots = {"linestyle": "", "marker": "o", "markersize": 5}
    return [
        Line2D([], [], color=INSIDE, label=f"{what}: as far off as chance", **dots),  # type: ignore[arg-type]
        Line2D([], [], color=OUTSIDE, label=f"{what}: further off", **dots),  # type: ignore[arg-type]
        Patch(color=CHANCE, label=f"where {CONFIDENCE:.0%} of calibrated ones lie"),
    ]
