"""The search as a picture: for every key, the metric against its values; each point, and the best of each value."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from training.plots import GREY, INSIDE, OUTSIDE, save, tidy
from training.search.results import HIGHER_IS_BETTER, Result, best_of

_WORDS = {"auc": "AUC", "log_loss": "log loss", "logit_gap": "squared logit gap"}
_FEWEST_FOR_LOG = 5.0
"""Largest over smallest value from which numbers stand on a logarithmic axis."""


def draw_search(results: Sequence[Result], metric: str, path: Path, *, title: str) -> Path | None:
    """One panel per key; None if no point has the metric."""
    told, best = [result for result in results if metric in result.validation], best_of(results, metric)
    if best is None:
        return None
    names = list(best.point.chosen)
    figure = Figure(figsize=(max(3.6 * len(names) + 0.8, 5.6), 3.9), layout="constrained")
    figure.suptitle(title, fontsize=10.5)
    panels = figure.subplots(1, len(names), squeeze=False, sharey=True)
    for axes, name in zip(panels[0], names, strict=True):
        _panel(axes, name, told, metric, best)
    direction = "higher" if HIGHER_IS_BETTER[metric] else "lower"
    panels[0, 0].set_ylabel(f"validation {_WORDS[metric]} ({direction} is better)", fontsize=9)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return save(figure, path)


def _panel(axes: Axes, name: str, told: Sequence[Result], metric: str, best: Result) -> None:
    values = _in_order([result.point.chosen[name] for result in told])
    places = _places(values)
    at = {str(value): place for value, place in zip(values, places, strict=True)}
    scores: dict[str, list[float]] = {str(value): [] for value in values}
    for result in told:
        scores[str(result.point.chosen[name])].append(result.validation[metric])
    choose = max if HIGHER_IS_BETTER[metric] else min
    spread = [(at[value], score) for value, each in scores.items() for score in each]
    axes.plot(*zip(*spread, strict=True), "o", color=GREY, alpha=0.45, markersize=4.5, linestyle="", label="a point")
    heights = [choose(scores[str(value)]) for value in values]
    line = "-" if _numeric(values) else ""  # nothing lies between two words
    axes.plot(places, heights, "D", color=INSIDE, markersize=4.5, linestyle=line, label="best of its value")
    mark = (at[str(best.point.chosen[name])], best.validation[metric])
    axes.plot(*mark, "*", color=OUTSIDE, markersize=13, linestyle="", label="best")
    if places != list(range(len(values))):
        axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(places, [f"{value:g}" if isinstance(value, float) else str(value) for value in values])
    axes.set_xlabel(name.replace("+", " +\n"), fontsize=9)
    axes.margins(x=0.12, y=0.14)
    tidy(axes)


def _in_order(values: Sequence[Any]) -> list[Any]:
    """Each value once: numbers ascending, others as they were given."""
    distinct = list({str(value): value for value in values}.values())
    return sorted(distinct) if _numeric(distinct) else distinct


def _numeric(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _places(values: Sequence[Any]) -> list[float]:
    """Where values stand: positive numbers over a wide range where they are, others side by side."""
    if _numeric(values) and values[0] > 0 and values[-1] >= _FEWEST_FOR_LOG * values[0]:
        return [float(value) for value in values]
    return list(range(len(values)))
