"""Curves of a phase: loss and validation metrics over epochs, as a PNG beside the numbers; and how pictures look."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from service.bundle import replace_file

INSIDE, OUTSIDE = "#0072b2", "#d55e00"
"""As chance has it; further off. From Okabe and Ito's palette, which colour-blind readers can tell apart."""
CHANCE, GREY = "#dfe3e8", "#6b7280"
"""The band of chance; lines and words that stand back."""
MARKS = (("o", "#374151"), ("s", "#cc79a7"), ("^", "#009e73"), ("D", "#e69f00"), ("v", "#56b4e9"), ("P", "#8c6d31"))
"""Shape and colour of one line or model after the other."""
_DPI = 140


def plot_curves(epochs: Sequence[Mapping[str, float]], path: Path, *, best_epoch: int, title: str) -> None:
    """Three panels: training loss, validation AUC, validation log loss; the epoch that was kept is marked."""
    panels = [("train_loss", "training loss"), ("validation_auc", "validation AUC")]
    panels.append(("validation_log_loss", "validation log loss"))
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    figure.suptitle(f"{title} (kept: epoch {best_epoch})")
    for axes, (key, label) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        values = [epoch[key] for epoch in epochs]
        axes.plot(values, marker="o", markersize=3)
        axes.axvline(best_epoch, color="0.7", linestyle=":")
        axes.set_title(label)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        if key == "train_loss" and min(values) > 0 and max(values) > 20 * min(values):
            axes.set_yscale("log")
    save(figure, path)


def tidy(axes: Axes) -> None:
    """A light grid, no box."""
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, whole or not at all; returns where it stands."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DPI)
    replace_file(path, content.getvalue())
    return path
