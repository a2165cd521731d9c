"""What the papers print, where it can be laid beside our rows: test AUC and log loss, in published.toml.

KD-DAGFM's Table 3 is on Criteo, Avazu and MovieLens-1M; its other tables and all of ECKD's are on Criteo and Avazu. For
data that a table does not have, what carries over is the order of its rows and the sign of their differences, not the
digits.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Scores:
    """One printed pair."""

    auc: float
    log_loss: float

    def less(self, other: Scores) -> Scores:
        """The difference."""
        return Scores(self.auc - other.auc, self.log_loss - other.log_loss)


@dataclass(frozen=True)
class Printed:
    """What one table prints.

    Attributes:
        table: its name in published.toml.
        data: the data set ours are on, as configurations name it.
    """

    table: str
    data: str

    def scores(self, label: str) -> Scores | None:
        """A row's, if the table has it for this very data."""
        return _tables()[self.table].get(self.data, {}).get(label)

    def gap(self, label: str, against: str) -> Scores | None:
        """A row less another, of the first data set the table has; None where the table has ours."""
        columns = _tables()[self.table]
        if self.data in columns:
            return None
        first = next(iter(columns.values()))
        return first[label].less(first[against]) if label in first and against in first else None


@cache
def _tables() -> Mapping[str, Mapping[str, Mapping[str, Scores]]]:
    """Table → data set → row → scores."""
    raw = tomllib.loads(Path(__file__).with_name("published.toml").read_text(encoding="utf-8"))
    return {
        table: {data: {label: Scores(*pair) for label, pair in rows.items()} for data, rows in columns.items()}
        for table, columns in raw.items()
    }
