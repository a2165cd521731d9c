"""Numeric fields become ids in one of two ways, chosen per field and stored in the schema.

As categories after a named transform: the number is mapped to an integer whose decimal text is then looked up in the
field's vocabulary like any other value. As buckets: the id is 2 + the number of edges at or below the value, so no
vocabulary is needed. A missing number is id 0 either way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service.bundle.errors import BundleError

Transform = Callable[[float], int]


def log_squared(number: float) -> int:
    """ceil(ln(x)² + 1) above 2, the integer part below: the Criteo transform of the KD-DAGFM protocol."""
    return math.ceil(math.log(number) ** 2 + 1) if number > 2 else math.floor(number)  # noqa: PLR2004


def floor(number: float) -> int:
    """The integer part: for counts and codes that are categories already."""
    return math.floor(number)


TRANSFORMS: Mapping[str, Transform] = {"floor": floor, "log_squared": log_squared}
"""Named transforms. A name once published keeps its meaning for ever: bundles refer to it."""


@dataclass(frozen=True, slots=True)
class Category:
    """A number as a category: `transform` names an entry of TRANSFORMS."""

    transform: str

    def __post_init__(self) -> None:
        if self.transform not in TRANSFORMS:
            raise BundleError(f"numeric transform: got {self.transform!r}, expected one of {sorted(TRANSFORMS)}")

    def to_json(self) -> dict[str, Any]:
        """The rule as it stands in schema.json."""
        return {"rule": "category", "transform": self.transform}


@dataclass(frozen=True, slots=True)
class Buckets:
    """A number as the index of its bucket; `edges` ascend strictly, E edges make E + 1 buckets."""

    edges: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.edges or not all(math.isfinite(edge) for edge in self.edges):
            raise BundleError(f"bucket edges must be finite and at least one: got {self.edges}")
        if any(low >= high for low, high in zip(self.edges, self.edges[1:], strict=False)):
            raise BundleError(f"bucket edges must ascend strictly: got {self.edges}")

    def to_json(self) -> dict[str, Any]:
        """The rule as it stands in schema.json."""
        return {"rule": "buckets", "edges": list(self.edges)}


NumericRule = Category | Buckets


def numeric_rule_from_json(described: Mapping[str, Any]) -> NumericRule:
    """Inverse of `to_json`; raises BundleError for a rule it does not know."""
    match described:
        case {"rule": "category", "transform": str(transform)}:
            return Category(transform)
        case {"rule": "buckets", "edges": list(edges)}:
            return Buckets(tuple(float(edge) for edge in edges))
        case _:
            raise BundleError(f"numeric rule: got {described!r}, expected rule 'category' or 'buckets'")
