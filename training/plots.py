"""Curves of a phase: loss and validation metrics over epochs, as a PNG beside the numbers."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from service.bundle import replace_file


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
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    replace_file(path, content.getvalue())
