"""Latency against throughput, student beside teacher; matplotlib is loaded by whoever asks for a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loadtest.ranking.compare import CAPACITY, STUDENT, TEACHER, Found
from loadtest.ranking.record import StageFigures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {STUDENT: "#1b7f5c", TEACHER: "#b3541e"}
_DPI = 140
_GREY = "#555555"


def draw(found: Found, title: str, path: Path) -> Path:
    """Write the picture, whole or not at all; returns its path."""
    import matplotlib as mpl  # noqa: PLC0415 - seconds that a run of locust alone need not wait for

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    canvas, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    for side, stages in found.items():
        _side(axes, side, stages)
    _dress(axes, title)
    temporary = path.with_suffix(".tmp.png")
    canvas.savefig(temporary, dpi=_DPI)
    plt.close(canvas)
    return temporary.replace(path)


def _side(axes: Axes, side: str, stages: Sequence[StageFigures]) -> None:
    """p50 and p99 over what was really answered; a hollow mark where the generator was the bottleneck."""
    open_loop = sorted((stage for stage in stages if stage.name != CAPACITY), key=lambda stage: stage.load)
    rates = [stage.requests_per_s for stage in open_loop]
    for quantile, line, name in (("p99_ms", ":", "p99"), ("p50_ms", "-", "p50")):
        heights = [getattr(stage, quantile) for stage in open_loop]
        axes.plot(rates, heights, line, color=COLOURS[side], linewidth=1.6, label=f"{side} {name}")
        for stage, rate, height in zip(open_loop, rates, heights, strict=True):
            face = "white" if stage.bottleneck else COLOURS[side]
            axes.plot(rate, height, "o", markersize=5, color=COLOURS[side], markerfacecolor=face)
    capacity = next(stage.requests_per_s for stage in stages if stage.name == CAPACITY)
    axes.axvline(capacity, color=COLOURS[side], linewidth=1, alpha=0.35)
    words = {"color": COLOURS[side], "fontsize": 8, "rotation": 90, "ha": "right", "va": "top"}
    label = f"{side}: {capacity:,.0f}/s at most"
    axes.text(capacity, 0.99, label, transform=axes.get_xaxis_transform(), **words)  # type: ignore[arg-type]


def _dress(axes: Axes, title: str) -> None:
    from matplotlib.ticker import LogLocator, NullLocator  # noqa: PLC0415

    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(lambda value, _position: f"{value:,g}")
        axis.set_minor_locator(NullLocator())
    axes.set_xlabel("requests answered per second, one core; hollow where the generator was the bottleneck")
    axes.set_ylabel("latency from the moment a request is due, ms")
    axes.set_title(title, fontsize=10, color=_GREY)
    axes.grid(visible=True, which="major", linewidth=0.4, alpha=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
