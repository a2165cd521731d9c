"""Three pictures: throughput beside the reference, where the time goes, latency against candidates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl

from loadtest.bench import wire
from loadtest.bench.points import CANDIDATES, CENTRE, Point
from loadtest.bench.report import HTTP, WORK, breakdown_us
from loadtest.bench.servers import EMPTY, NATIVE, ONNXRUNTIME, REFERENCE, TUTORIAL
from loadtest.bench.summary import Figure, ShapeResult

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patches import Patch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

COLOURS = {NATIVE: "#1b7f5c", ONNXRUNTIME: "#4c72b0", REFERENCE: "#555555", TUTORIAL: "#b0b0b0", EMPTY: "#e0c36a"}
STAGE_COLOURS = dict(zip((*WORK, HTTP), ("#4c72b0", "#64b5cd", "#1b7f5c", "#dd8452", "#cfcfcf"), strict=True))
LATENCY_LINES = (
    (NATIVE, wire.ITEM_IDS.name),
    (NATIVE, wire.INFER_BINARY.name),
    (ONNXRUNTIME, wire.ITEM_IDS.name),
    (REFERENCE, wire.ID_ROWS.name),
    (TUTORIAL, wire.TYPED_ROWS.name),
)
_DPI = 140


def draw(results: Sequence[ShapeResult], folder: Path) -> list[Path]:
    """Write every picture that the results have points for; returns their paths."""
    fullest = max(results, key=lambda result: len(result.figures))
    written = [_throughput(results, folder / "throughput.png"), _stages(fullest, folder / "stages.png")]
    if {point.candidates for point in fullest.figures} >= set(CANDIDATES):
        written.append(_latency(fullest, folder / "latency.png"))
    return written


def _at_centre(result: ShapeResult) -> list[Figure]:
    """Figures at the centre, slowest first."""
    found = [figure for point, figure in result.figures.items() if (point.candidates, point.connections) == CENTRE]
    return sorted(found, key=lambda figure: figure.requests_per_s)


def _name(point: Point) -> str:
    return f"{point.server}: {point.form}"


def _throughput(results: Sequence[ShapeResult], path: Path) -> Path:
    """Requests per second over the reference's, one panel per shape."""
    rows = max(len(_at_centre(result)) for result in results)
    canvas, panels = plt.subplots(
        1, len(results), figsize=(1.5 + 5.5 * len(results), 1.4 + 0.34 * rows), layout="constrained", squeeze=False
    )
    for result, axes in zip(results, panels[0], strict=True):
        _ratio_bars(axes, result)
    canvas.suptitle(f"Requests per second over the reference's: N = {CENTRE[0]}, {CENTRE[1]} connections, one core")
    return _saved(canvas, path)


def _ratio_bars(axes: Axes, result: ShapeResult) -> None:
    compared = [figure for figure in _at_centre(result) if figure.ratio is not None]
    found = [figure for figure in compared if figure.point.server != EMPTY]
    for position, figure in enumerate(found):
        ratio = figure.ratio
        if ratio is None:
            continue
        spread = [[ratio.median - ratio.low], [ratio.high - ratio.median]]
        axes.barh(position, ratio.median, color=COLOURS[figure.point.server], height=0.72)
        axes.errorbar(ratio.median, position, xerr=spread, color="black", linewidth=1, capsize=2)
        label = f" {ratio.median:.1f}x   {figure.requests_per_s:,.0f}/s"
        axes.text(max(ratio.high, 1.0), position, label, va="center", fontsize=8)
    axes.axvline(1, color="black", linewidth=0.8, linestyle="--")
    axes.set_yticks(range(len(found)), [_name(figure.point) for figure in found], fontsize=8)
    axes.set_xlim(0, 1.35 * max((figure.ratio.high for figure in found if figure.ratio), default=1.0))
    axes.set_xlabel("ratio (median; whiskers: lowest and highest repetition)", fontsize=8)
    floor = [f"{figure.ratio.median:.0f}x" for figure in compared if figure.ratio and figure.point.server == EMPTY]
    note = f"\na server that does not look at the request: {floor[0]}" if floor else ""
    axes.set_title(f"{result.title}{note}", fontsize=9)
    _bare(axes)


def _stages(result: ShapeResult, path: Path) -> Path:
    """Microseconds per request at the centre, stacked by stage."""
    found = _at_centre(result)[::-1]
    canvas, axes = plt.subplots(figsize=(10, 1.4 + 0.36 * len(found)), layout="constrained")
    for position, figure in enumerate(reversed(found)):
        left = 0.0
        for part, took in breakdown_us(figure).items():
            colour = STAGE_COLOURS[part] if figure.stages_us else COLOURS[figure.point.server]
            axes.barh(position, took, left=left, color=colour, height=0.72)
            left += took
        axes.text(left, position, f" {left:,.0f} µs", va="center", fontsize=8)
    axes.set_yticks(range(len(found)), [_name(figure.point) for figure in reversed(found)], fontsize=8)
    axes.set_xlim(0, 1.12 * max(1e6 / figure.requests_per_s for figure in found))
    used = [part for part in STAGE_COLOURS if part == HTTP or any(part in figure.stages_us for figure in found)]
    handles = [Patch(color=STAGE_COLOURS[part], label=part) for part in used]
    axes.legend(handles=handles, fontsize=8, frameon=False, loc="upper right")
    axes.set_xlabel("µs per request (time between two answers of a busy server)", fontsize=8)
    axes.set_title(
        f"Where a request's time goes: {result.title}, N = {CENTRE[0]}, {CENTRE[1]} connections\n"
        "stages as our server's own metrics have them; other servers are drawn whole",
        fontsize=10,
    )
    _bare(axes)
    return _saved(canvas, path)


def _latency(result: ShapeResult, path: Path) -> Path:
    """p50 and p99 against candidates, one connection."""
    canvas, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for server, form in LATENCY_LINES:
        points = [Point(candidates=size, connections=1, server=server, form=form) for size in CANDIDATES]
        found = [result.figures[point] for point in points if point in result.figures]
        sizes = [figure.point.candidates for figure in found]
        style = {"color": COLOURS[server], "marker": "s" if form == wire.INFER_BINARY.name else "o", "markersize": 4}
        axes.plot(sizes, [figure.p50_ms for figure in found], label=f"{server}: {form}", **style)  # type: ignore[arg-type]
        axes.plot(sizes, [figure.p99_ms for figure in found], linestyle=":", **style)  # type: ignore[arg-type]
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(CANDIDATES, [f"{size:,}" for size in CANDIDATES])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _position: f"{value:g}")
    axes.set_xlabel("candidates per request")
    axes.set_ylabel("latency, ms")
    axes.set_title(f"{result.title}\none connection, p50 (line) and p99 (dots)", fontsize=10)
    axes.grid(visible=True, which="major", linewidth=0.4, alpha=0.6)
    axes.legend(fontsize=8, frameon=False)
    _bare(axes)
    return _saved(canvas, path)


def _bare(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)


def _saved(canvas: Canvas, path: Path) -> Path:
    """Written beside and renamed: a picture is whole or not there."""
    temporary = path.with_suffix(".tmp.png")
    canvas.savefig(temporary, dpi=_DPI)
    plt.close(canvas)
    temporary.replace(path)
    return path
