"""Slices: a model may be right on average and wrong for whom it matters; metrics per value of a field say so.

    FIELD         one slice per value, the largest first, the rest together
    FIELD:seen    by how many training rows have the row's value: cold none, rare under 20, warm 20 and more

Slices are of rows, so one that holds few is mostly noise: every calibration stands beside its null band.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from service.bundle import FIRST_VALUE_ID, PADDING_ID, UNKNOWN_ID, Buckets, Encoder
from training.config import ConfigError, nearest
from training.data.prepare import Prepared

Mask = npt.NDArray[np.bool_]

WARM_FROM = 20
"""Training rows from which a value counts as warm: below, its embedding has hardly moved."""
_SEEN = "seen"


@dataclass(frozen=True)
class Slicing:
    """How rows are sliced: by the values of a field, or by how often training saw them."""

    field: str
    seen: bool = False

    def __str__(self) -> str:
        return f"{self.field}:{_SEEN}" if self.seen else self.field

    @property
    def file_name(self) -> str:
        """For files: without the colon."""
        return str(self).replace(":", "-")

    @classmethod
    def parse(cls, words: str, prepared: Prepared) -> tuple[Slicing, ...]:
        """Slicings of a comma-separated list; raises ConfigError naming the nearest field."""
        names = [field.name for field in prepared.encoder.schema.fields]
        slicings = []
        for word in filter(None, (part.strip() for part in words.split(","))):
            field, _, how = word.partition(":")
            if field not in names:
                raise ConfigError(f"--by {words}: field {field!r} is unknown{nearest(field, tuple(names))}")
            if how not in {"", _SEEN}:
                raise ConfigError(f"--by {words}: got {word!r}, expected {field!r} or '{field}:{_SEEN}'")
            slicings.append(cls(field, seen=bool(how)))
        if not slicings:
            raise ConfigError(f"--by {words!r} names no field; expected one or more of {names}")
        return tuple(slicings)


def slices(slicing: Slicing, prepared: Prepared, part: str, top: int) -> Iterator[tuple[str, Mask]]:
    """Name and rows [N] of each slice that has any, then of the rest together; every row is in exactly one."""
    ids_N = prepared.column(part, slicing.field)
    if slicing.seen:
        yield from _by_familiarity(ids_N, prepared.column("train", slicing.field))
        return
    rows_I = np.bincount(ids_N)
    largest = np.argsort(-rows_I, kind="stable")[: min(top, np.count_nonzero(rows_I))]
    names = value_names(prepared.encoder, slicing.field)
    in_order = isinstance(_rule(prepared.encoder, slicing.field), Buckets)
    for value in np.sort(largest) if in_order else largest:
        yield names[value], ids_N == value
    rest_N = ~np.isin(ids_N, largest)
    if rest_N.any():
        yield f"the other {np.count_nonzero(rows_I) - len(largest):,}", rest_N


def _by_familiarity(ids_N: npt.NDArray[np.int32], training_ids_N: npt.NDArray[np.int32]) -> Iterator[tuple[str, Mask]]:
    size = int(max(ids_N.max(), training_ids_N.max())) + 1
    seen_N = np.bincount(training_ids_N, minlength=size)[ids_N]
    seen_N = np.where(ids_N == UNKNOWN_ID, 0, seen_N)  # many rare values share this id; each of them is cold
    missing_N = ids_N == PADDING_ID
    named = {
        "cold: no training row": ~missing_N & (seen_N == 0),
        f"rare: 1 to {WARM_FROM - 1} training rows": ~missing_N & (seen_N > 0) & (seen_N < WARM_FROM),
        f"warm: {WARM_FROM} and more": ~missing_N & (seen_N >= WARM_FROM),
        "missing": missing_N,
    }
    yield from ((name, mask_N) for name, mask_N in named.items() if mask_N.any())


def value_names(encoder: Encoder, field: str) -> list[str]:
    """What people call each id of a field: the raw value, the bounds of a bucket, missing, unknown."""
    names = [""] * FIRST_VALUE_ID
    names[PADDING_ID], names[UNKNOWN_ID] = "missing", "unknown"
    rule = _rule(encoder, field)
    return names + (_bucket_names(rule) if isinstance(rule, Buckets) else list(encoder.vocabularies[field].values))


def _rule(encoder: Encoder, field: str) -> object:
    return next(known.numeric for known in encoder.schema.fields if known.name == field)


def _bucket_names(rule: Buckets) -> list[str]:
    between = [f"{low:g} to {high:g}" for low, high in pairwise(rule.edges)]
    return [f"under {rule.edges[0]:g}", *between, f"{rule.edges[-1]:g} and more"]
