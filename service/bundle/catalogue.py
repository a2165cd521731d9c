"""Catalogue: item id → the ids of its candidate fields, so that a request may send item ids alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from service.bundle.encoder import Ids
from service.bundle.errors import BundleError, UnknownItem


class Catalogue:
    """Items known to a bundle.

    Args:
        items: item ids as text, each once.
        candidate_ids_IF: ids of the Ff candidate fields of each item, in schema order.

    Raises:
        BundleError: an item twice, or a count of rows that is not the count of items.
    """

    def __init__(self, items: Sequence[str], candidate_ids_IF: Ids) -> None:
        self.items = tuple(items)
        self.candidate_ids_IF = np.ascontiguousarray(candidate_ids_IF, np.int32)
        self._row_of = {item: row for row, item in enumerate(self.items)}
        if self.candidate_ids_IF.ndim != 2 or len(self.items) != len(self.candidate_ids_IF):  # noqa: PLR2004
            got = f"{len(self.items)} items and ids of shape {self.candidate_ids_IF.shape}"
            raise BundleError(f"catalogue: got {got}, expected ids [items, candidate fields]")
        if len(self._row_of) != len(self.items):
            raise BundleError(f"catalogue: {len(self.items) - len(self._row_of)} item(s) occur more than once")

    def __len__(self) -> int:
        return len(self.items)

    def candidate_ids(self, items: Sequence[object]) -> Ids:
        """Ids [N, Ff] of these items (strings, or integers looked up by their decimal text).

        Raises:
            UnknownItem: the first item that is not here, with its position.
        """
        row_of = self._row_of
        try:
            rows = [row_of[str(item) if type(item) is int else item] for item in items]  # type: ignore[index]
        except (KeyError, TypeError):
            raise self._first_unknown(items) from None
        return self.candidate_ids_IF[rows]

    def _first_unknown(self, items: Sequence[object]) -> UnknownItem:
        for position, item in enumerate(items):
            known = type(item) in (str, int) and str(item) in self._row_of
            if not known:
                return UnknownItem(position=position, item=item)
        raise AssertionError("called although every item is known")
