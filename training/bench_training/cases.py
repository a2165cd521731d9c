"""What is measured: models at the sizes of the reference, the two shapes, and how ids are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from training.data.batches import TensorRows

_D = {"embedding_size": 16}
_MLP = {**_D, "hidden": (400, 400, 400)}
_DAG = {**_D, "layers": 3}
COMPARED: dict[str, dict[str, Any]] = {
    "deepfm": _MLP,
    "dcnv2": {**_MLP, "layers": 3},
    "autoint_plus": {**_MLP, "layers": 3, "heads": 2, "attention_size": 8},
    "fibinet": _MLP,
    "xdeepfm": {**_MLP, "maps": (200, 200, 200)},
    "crossnet": {**_D, "layers": 3},
    "dagfm_outer": _DAG,
    "dagfm_inner": _DAG,
}
"""What libraries were measured with, at the sizes they had. AutoInt's heads share out d numbers, as in the library that
was fastest with it, DeepCTR-Torch."""
FURTHER: dict[str, dict[str, Any]] = {
    "lr": {"embedding_size": 1},
    "fm": _D,
    "ffm": {"embedding_size": 4},  # a table as wide as all fields: with 16, Adam's state of it takes 10 GB
    "fwfm": _D,
    "fmfm": _D,
    "dnn": _MLP,
    "wide_deep": _MLP,
    "dcn": {**_MLP, "layers": 3},
    "cin": {**_D, "maps": (200, 200, 200)},
    "pin": {**_MLP, "micro": (16, 8)},
    "fgcnn": {**_MLP, "maps": (14, 16), "kernel": 3, "new_features": 3},
    "fignn": {**_D, "layers": 3, "heads": 2, "attention_size": 8},
    "graphfm": {**_D, "neighbours": (5, 5), "heads": 2, "attention_size": 8},
    "dagfm_full": _DAG,
    "dagfm_plain": _DAG,
    "dagfm_plus_inner": {**_DAG, "hidden": (64, 64)},
    "dagfm_plus_outer": {**_DAG, "hidden": (64, 64)},
}
MODELS = {**COMPARED, **FURTHER}
STUDENTS = tuple(name for name in MODELS if name.startswith("dagfm"))
"""Distilled from a CrossNet whose logits are cached, on frozen embeddings; the others are trained on clicks."""

_MOVIELENS = (6042, 4, 9, 23, 3441, 3885, 83)
_NUMERIC, _CATEGORICAL = (100,) * 13, 26
_SMALLEST, _GROWTH = 16, 1.5045


def _criteo() -> tuple[int, ...]:
    """13 numeric fields of 100 buckets, 26 categorical ones from 16 to over 400,000 values, 1.3M in all."""
    return (*_NUMERIC, *(round(_SMALLEST * _GROWTH**step) for step in range(_CATEGORICAL)))


SHAPES = {"ml": _MOVIELENS, "criteo": _criteo()}
"""Ids of each field."""

Trainer = Literal["fit", "library"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One measurement.

    Attributes:
        trainer: fit() with the fields below, or the baseline: a table per field, default Adam, float32.
        seconds: how long one repetition should take about.
    """

    model: str
    shape: str
    batch: int
    precision: str
    updates: str
    threads: int
    trainer: Trainer = "fit"
    repeats: int = 5
    seconds: float = 2.0

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def draw_rows(shape: str, rows: int, seed: int = 0) -> TensorRows:
    """Rows of ids with P(id) ~ 1 / id in each field (Zipf's law with exponent 1), a quarter of them clicked.

    How ids repeat decides what row-wise updates save. 1,024 rows of Criteo's first 10,000 hold 10,100 distinct values,
    before rare ones are made one; drawn like this 1,024 rows of the criteo shape hold 11,600, with uniform ids 18,000.
    """
    generator = torch.Generator().manual_seed(seed)
    columns = [
        (size ** torch.rand(rows, generator=generator, dtype=torch.float64)).long().clamp(max=size) - 1
        for size in SHAPES[shape]
    ]
    clicks_N = (torch.rand(rows, generator=generator) < 0.25).float()  # noqa: PLR2004 - the docstring's quarter
    return TensorRows(torch.stack(columns, dim=1).int(), clicks_N)


def cases(
    models: list[str], shapes: list[str], batches: list[int], threads: list[int], *, quick: bool
) -> Iterator[Case]:
    """Every combination: float32 and bfloat16, and for DeepFM and DCNv2 the baseline beside them.

    Tables are updated lazily on the Criteo shape and densely on that of MovieLens, as one would train them.
    """
    timing: dict[str, Any] = {"repeats": 2, "seconds": 0.3} if quick else {}
    for shape in shapes:
        for model in models:
            for batch in batches:
                for count in threads:
                    updates = "lazy" if shape == "criteo" else "dense"
                    common: dict[str, Any] = {"model": model, "shape": shape, "batch": batch, "threads": count}
                    if model in {"deepfm", "dcnv2"}:
                        yield Case(**common, precision="float32", updates="dense", trainer="library", **timing)
                    for precision in ("float32", "bfloat16"):
                        yield Case(**common, precision=precision, updates=updates, **timing)
