"""The table and the picture of a bench of training."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.table import Table

from service.bundle import replace_file
from training.bench_training.published import BEST_LIBRARY
from training.progress import results_table

Result = Mapping[str, Any]
"""A case and what was measured of it, flat."""


def ratios(result: Result, all_results: Sequence[Result]) -> dict[str, float]:
    """Times the baseline measured beside it, times the best library elsewhere; what does not exist is left out."""
    same = ("model", "shape", "batch", "threads")
    beside = [
        other["rows_per_second"]
        for other in all_results
        if other["trainer"] == "library" and all(other[key] == result[key] for key in same)
    ]
    published = BEST_LIBRARY.get((result["model"], result["shape"], result["batch"]))
    found = {"baseline": beside[0] if beside else None, "published": published}
    return {name: result["rows_per_second"] / rate for name, rate in found.items() if rate}


COLUMNS = ("shape", "model", "batch", "threads", "rows/s", "MiB", "x lib", "x best*")
TITLE = "rows/s of training steps, median; x lib: times the same model as a library trains it, here"
CAPTION = "* the best of three libraries, measured on another machine"


def cells(result: Result, all_results: Sequence[Result]) -> list[str]:
    """What stands in each of `COLUMNS`."""
    how = "as a library" if result["trainer"] == "library" else result["precision"][:1] + result["precision"][-2:]
    times = ratios(result, all_results)
    named = [result["shape"], f"{result['model']} {how}", str(result["batch"]), str(result["threads"])]
    measured = [f"{result['rows_per_second']:,.0f}", f"{result['peak_mib']:,.0f}"]
    return [*named, *measured, *(f"{times[name]:.1f}" if name in times else "" for name in ("baseline", "published"))]


def table_of(results: Sequence[Result]) -> Table:
    """One line per case."""
    table = results_table(TITLE, *COLUMNS, left=2)
    for result in results:
        table.add_row(*cells(result, results))
    table.caption = CAPTION
    return table


def markdown(results: Sequence[Result], machine: Mapping[str, Any], command: str) -> str:
    """The same, as a page with the picture."""
    lines = ["# Training speed", "", f"On {machine['cores']} cores ({machine['processor']}), torch {machine['torch']}"]
    lines[-1] += f", load average {results[0]['load_before']:.1f} before the first case:"
    lines += ["", "```sh", command, "```", ""]
    lines += [f"{TITLE[:1].upper()}{TITLE[1:]}. MiB: the process at its largest.", "", "![rows/s](bench.png)", ""]
    lines += [f"| {' | '.join(COLUMNS)} |", "|---" * 2 + "|---:" * (len(COLUMNS) - 2) + "|"]
    lines += [f"| {' | '.join(cells(result, results))} |" for result in results]
    return "\n".join([*lines, "", CAPTION.replace("*", "\\*", 1), ""])


def draw(results: Sequence[Result], path: Path) -> None:
    """Bars of rows/s, a panel per shape, the libraries' figures as marks."""
    shapes = list(dict.fromkeys(result["shape"] for result in results))
    figure = Figure(figsize=(8 * len(shapes), 1 + 0.3 * len(results) / len(shapes)), layout="constrained")
    figure.suptitle("rows/s of training; black: best of FuxiCTR, RecBole, DeepCTR-Torch, measured on another machine")
    for axes, shape in zip(figure.subplots(1, len(shapes), squeeze=False)[0], shapes, strict=True):
        chosen = [result for result in results if result["shape"] == shape]
        names = [" ".join(str(result[key]) for key in ("model", "batch", "threads")) for result in chosen]
        kinds = [result["precision"] if result["trainer"] == "fit" else "library" for result in chosen]
        colours = {"library": "0.6", "float32": "tab:blue", "bfloat16": "tab:orange"}
        axes.barh(range(len(chosen)), [r["rows_per_second"] for r in chosen], color=[colours[kind] for kind in kinds])
        for place, result in enumerate(chosen):
            published = BEST_LIBRARY.get((result["model"], shape, result["batch"]))
            if published:
                axes.plot([published] * 2, [place - 0.45, place + 0.45], color="black")
        labels = [f"{name} {kind}" for name, kind in zip(names, kinds, strict=True)]
        axes.set_yticks(range(len(chosen)), labels, fontsize=7)
        axes.set_xscale("log")
        axes.set_ylim(len(chosen) - 0.4, -0.6)
        axes.set_title(f"{shape}: model, batch, threads, how")
        axes.grid(axis="x", alpha=0.3)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    replace_file(path, content.getvalue())
