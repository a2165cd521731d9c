"""Catalogue: item id → the ids of its candidate fields, so that a request may send item ids alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from service.bundle.encoder import Ids
from service.bundle.errors import BundleError, UnknownItem
from service.loops import FINE, Table


class Catalogue:
    """Items known to a bundle.

    Args:
        items: item ids as text, each once.
        candidate_ids_IF: ids of the Ff candidate fields of each item, in schema order.

    Raises:
        BundleError: an item twice or without text, or a count of rows that is not the count of items.
    """

    def __init__(self, items: Sequence[str], candidate_ids_IF: Ids) -> None:
        self.items = tuple(items)
        self.candidate_ids_IF = np.ascontiguousarray(candidate_ids_IF, np.int32)
        if self.candidate_ids_IF.ndim != 2 or len(self.items) != len(self.candidate_ids_IF):  # noqa: PLR2004
            got = f"{len(self.items)} items and ids of shape {self.candidate_ids_IF.shape}"
            raise BundleError(f"catalogue: got {got}, expected ids [items, candidate fields]")
        if "" in self.items:
            raise BundleError("catalogue: an item has no text, expected the id that requests name it by")
        twice = len(self.items) - len(set(self.items))
        if twice:
            raise BundleError(f"catalogue: {twice} item(s) occur more than once")
        try:
            self._rows = Table(self.items, 0)
        except UnicodeEncodeError as error:
            raise BundleError(f"catalogue: an item is no text that UTF-8 can write: {error.reason}") from error

    def __len__(self) -> int:
        return len(self.items)

    def candidate_ids(self, items: Sequence[object]) -> Ids:
        """Ids [N, Ff] of these items (strings, or integers looked up by their decimal text).

        Raises:
            UnknownItem: the first item that is not here, with its position.
        """
        items = items if type(items) is list else list(items)
        ids_NF = np.empty((len(items), self.candidate_ids_IF.shape[1]), np.int32)
        position = self._rows.gather(items, self.candidate_ids_IF, ids_NF)
        if position != FINE:
            raise UnknownItem(position=position, item=items[position])
        return ids_NF
