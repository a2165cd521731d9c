"""A click log drawn from a known click model, for when no real data is at hand and for tests of the whole path.

Users and items follow Zipf's law; their attributes are fixed; device and hour change from row to row. The click
model (click_model.py) has interactions up to order 4, and its own probability is kept per row: it is the best any
model can reach, so `best_reachable` says how much of the way a teacher or student has gone. With the defaults the true
logits have a standard deviation of about 1.25, and the first-order part alone ranks far worse than the whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from service.bundle import Buckets, Category, Field
from service.bundle.numeric import TRANSFORMS
from training.data.click_log import ClickLog, Rows
from training.data.click_model import Levels, Logits, bias_for, logit_parts
from training.data.synthetic_csv import read_csv, write_csv
from training.data.synthetic_format import ITEM_FIELD, NAME, SCHEMA, SCHEMA_FIELDS, SyntheticConfig, click_log, streams
from training.metrics import auc, log_loss, sigmoid

__all__ = ["SyntheticConfig", "best_reachable", "generate", "read_csv", "write_csv"]

MAX_LOGIT = 15.0
AGES = ("13-17", "18-24", "25-34", "35-44", "45-54", "55-64", "65+")
GENDERS = ("female", "male", None)
COUNTRIES = ("BR", "CN", "DE", "EG", "FR", "ID", "IN", "JP", "KE", "MX", "NG", "US")
DEVICES = ("desktop", "phone", "tablet", "tv")
HOURS = tuple(str(hour) for hour in range(24))
CATEGORIES = tuple(f"category_{number:02d}" for number in range(20))
BRANDS = tuple(f"brand_{number:03d}" for number in range(120))


def generate(config: SyntheticConfig) -> ClickLog:
    """The click log that `config` describes."""
    people, goods, traffic, model, clicks, _split = streams(config.seed)
    users, items = _users(config.users, people), _items(config.items, goods)
    columns, levels = _traffic(config, users, items, traffic)
    probability_N = sigmoid(true_logits(config, levels, model))
    return click_log(
        columns=columns,
        clicks_N=(clicks.random(config.rows) < probability_N).astype(np.float32),
        true_probability_N=probability_N,
        items=items,
        config=config,
        source={"recipe": NAME, **config.model_dump()},
    )


def best_reachable(true_probability_N: npt.NDArray[np.float64], clicks_N: npt.NDArray[np.float32]) -> dict[str, float]:
    """AUC and log loss of the click model itself on these rows: no model beats them but by luck."""
    logits_N = np.log(true_probability_N) - np.log1p(-true_probability_N)
    return {"auc": auc(logits_N, clicks_N), "log_loss": log_loss(logits_N, clicks_N)}


def true_logits(config: SyntheticConfig, levels: dict[str, Levels], random: np.random.Generator) -> Logits:
    """The click model's logits [N]: its parts at their strengths, and the bias that gives the click rate."""
    parts = logit_parts(levels, {"user_id": config.id_weight, ITEM_FIELD: config.id_weight}, random)
    logits_N = np.asarray(sum(config.strengths[order] * part_N for order, part_N in parts.items()))
    return np.clip(logits_N + bias_for(logits_N, config.click_rate), -MAX_LOGIT, MAX_LOGIT)


def _users(count: int, random: np.random.Generator) -> pl.DataFrame:
    """One row per user, most active first."""
    return pl.DataFrame(
        {
            "user_id": [f"user_{number}" for number in range(count)],
            "age": _pick(AGES, (5, 20, 28, 20, 13, 9, 5), count, random),
            "gender": _pick(GENDERS, (48, 47, 5), count, random),
            "country": _pick(COUNTRIES, range(len(COUNTRIES), 0, -1), count, random),
            "days_since_signup": np.floor(random.exponential(200.0, count)).astype(np.int64),
        }
    )


def _items(count: int, random: np.random.Generator) -> pl.DataFrame:
    """One row per item, most shown first: the candidate fields in schema order."""
    return pl.DataFrame(
        {
            ITEM_FIELD: [f"item_{number}" for number in range(count)],
            "category": _pick(CATEGORIES, range(len(CATEGORIES), 0, -1), count, random),
            "brand": _pick(BRANDS, 1 / np.arange(1, len(BRANDS) + 1), count, random),
            "price": np.round(random.lognormal(3.0, 1.0, count), 2),
            "days_since_listed": np.floor(random.exponential(30.0, count)).astype(np.int64),
        }
    )


def _traffic(
    config: SyntheticConfig, users: pl.DataFrame, items: pl.DataFrame, random: np.random.Generator
) -> tuple[pl.DataFrame, dict[str, Levels]]:
    """Who saw what, on which device, at which hour: the raw columns, and per field the level [N] of each row."""
    user_N = _zipf(config.users, config.user_exponent, config.rows, random)
    item_N = _zipf(config.items, config.item_exponent, config.rows, random)
    moment = pl.DataFrame(
        {
            "device": _pick(DEVICES, (30, 55, 10, 5), config.rows, random),
            "hour": _pick(HOURS, 1.2 + np.sin((np.arange(24) - 14) * np.pi / 12), config.rows, random),
        }
    )
    columns = pl.concat([users[user_N], moment, items[item_N]], how="horizontal")
    levels = {name: level_U[user_N] for name, level_U in _levels(users).items()}
    levels |= _levels(moment)
    levels |= {name: level_I[item_N] for name, level_I in _levels(items).items()}
    return columns.select(field.name for field in SCHEMA.fields), levels


def _levels(frame: pl.DataFrame) -> dict[str, Levels]:
    """Per column, each value's 0-based level: what the encoder would tell apart, a missing value being a level."""
    return {name: _level(frame[name], SCHEMA_FIELDS[name]) for name in frame.columns}


def _level(column: pl.Series, field: Field) -> Levels:
    match field.numeric:
        case Buckets(edges):
            return np.searchsorted(edges, column.to_numpy(), side="right").astype(np.int64)
        case Category(transform):
            values = [TRANSFORMS[transform](number) for number in column.to_list()]
            return np.unique(values, return_inverse=True)[1].astype(np.int64)
        case None:
            return column.fill_null("").rank("dense").to_numpy().astype(np.int64) - 1


def _pick(
    values: Sequence[str | None],
    weights: Sequence[float] | npt.NDArray[np.float64],
    count: int,
    random: np.random.Generator,
) -> pl.Series:
    """`count` values drawn independently, in proportion to `weights`."""
    share = np.asarray(weights, np.float64)
    return pl.Series(values, dtype=pl.String)[random.choice(len(values), count, p=share / share.sum())]


def _zipf(count: int, exponent: float, rows: int, random: np.random.Generator) -> Rows:
    """Ranks [rows], 0-based, drawn in proportion to (rank + 1) ** -exponent."""
    weights = np.arange(1, count + 1, dtype=np.float64) ** -exponent
    return np.asarray(random.choice(count, rows, p=weights / weights.sum()), np.int64)
