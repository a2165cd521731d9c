"""The data sets a run can name, and how each becomes a ClickLog."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from training.data import avazu, criteo, movielens, synthetic, table
from training.data.click_log import ClickLog, DataError
from training.data.table_options import TableOptions


class NoOptions(BaseModel):
    """A data set whose protocol leaves nothing to choose."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class DataSet:
    """How to read one data set.

    Attributes:
        options: what its [data] section may say.
        read: (options, path or None) → ClickLog; raises DataError.
    """

    options: type[BaseModel]
    read: Callable[[Any, Path | None], ClickLog]


def _read_movielens(_options: NoOptions, path: Path | None) -> ClickLog:
    found = movielens.find(path)
    if found is None:
        raise DataError(
            "MovieLens-1M not found: give it with --data PATH or CTR_DATA, fetch it with "
            "`python -m training download`, or run `--config training/configs/synthetic.toml` without it"
        )
    return movielens.read(found)


def _read_synthetic(options: synthetic.SyntheticConfig, path: Path | None) -> ClickLog:
    return synthetic.generate(options) if path is None else synthetic.read_csv(path, options)


DATA_SETS: Mapping[str, DataSet] = {
    "avazu": DataSet(avazu.AvazuOptions, avazu.read),
    "criteo": DataSet(criteo.CriteoOptions, criteo.read),
    "movielens": DataSet(NoOptions, _read_movielens),
    "synthetic": DataSet(synthetic.SyntheticConfig, _read_synthetic),
    "table": DataSet(TableOptions, table.read),
}
