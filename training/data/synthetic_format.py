"""What every synthetic click log has in common, generated or read from a file: config, schema, split, vocabularies."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from service.bundle import Buckets, Category, Role, Schema, Vocabulary
from service.bundle import Field as SchemaField
from service.bundle.numeric import TRANSFORMS
from training.data.click_log import ClickLog, Split

NAME = "synthetic"
ITEM_FIELD = "item_id"
GROUP_FIELD = "user_id"
SCHEMA = Schema(
    (
        SchemaField(name="user_id", role=Role.CONTEXT),
        SchemaField(name="age", role=Role.CONTEXT),
        SchemaField(name="gender", role=Role.CONTEXT),
        SchemaField(name="country", role=Role.CONTEXT),
        SchemaField(
            name="days_since_signup", role=Role.CONTEXT, numeric=Buckets((1.0, 7.0, 30.0, 90.0, 180.0, 365.0, 730.0))
        ),
        SchemaField(name="device", role=Role.CONTEXT),
        SchemaField(name="hour", role=Role.CONTEXT),
        SchemaField(name=ITEM_FIELD, role=Role.CANDIDATE),
        SchemaField(name="category", role=Role.CANDIDATE),
        SchemaField(name="brand", role=Role.CANDIDATE),
        SchemaField(name="price", role=Role.CANDIDATE, numeric=Category("log_squared")),
        SchemaField(name="days_since_listed", role=Role.CANDIDATE, numeric=Buckets((1.0, 3.0, 7.0, 14.0, 30.0, 90.0))),
    )
)
SCHEMA_FIELDS = {field.name: field for field in SCHEMA.fields}

Strength = Annotated[float, Field(ge=0.0, le=3.0)]
Exponent = Annotated[float, Field(ge=0.0, le=3.0)]


class SyntheticConfig(BaseModel):
    """What the synthetic log holds; the same config always gives the same log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(default=400_000, ge=10)
    """Impressions."""
    users: int = Field(default=20_000, ge=1)
    """Users that may appear; Zipf's law leaves many of them out of a short log."""
    items: int = Field(default=5_000, ge=1)
    """Items, all of them in the catalogue."""
    seed: int = Field(default=0, ge=0)
    """Seed of everything drawn: attributes, traffic, click model, clicks, split."""
    click_rate: float = Field(default=0.22, gt=0.0, lt=1.0)
    """Mean of the true probability: clicks per impression."""
    user_exponent: Exponent = 0.9
    """Zipf's exponent: the user of rank r appears in proportion to r ** -exponent. 0 is uniform."""
    item_exponent: Exponent = 0.9
    """As `user_exponent`, for items."""
    id_weight: Strength = 0.5
    """Spread of the effects of user_id and item_id relative to those of attributes (1.0): most ids are too rare to
    be learned, so a large value moves the best reachable figures away from what a model can learn."""
    first_order: Strength = 0.7
    """Standard deviation of the first-order part, in logits."""
    second_order: Strength = 0.7
    """Standard deviation of the interactions of two fields, in logits."""
    third_order: Strength = 0.55
    """Standard deviation of the interactions of three fields, in logits."""
    fourth_order: Strength = 0.55
    """Standard deviation of the interactions of four fields, in logits."""
    min_count: int = Field(default=2, ge=1)
    """Training rows a value needs to enter its vocabulary; rarer ones are unknown."""

    @property
    def strengths(self) -> dict[int, float]:
        """Order → standard deviation of its part of the logit."""
        return {1: self.first_order, 2: self.second_order, 3: self.third_order, 4: self.fourth_order}


def click_log(
    *,
    columns: pl.DataFrame,
    clicks_N: npt.NDArray[np.float32],
    true_probability_N: npt.NDArray[np.float64],
    items: pl.DataFrame,
    config: SyntheticConfig,
    source: dict[str, object],
) -> ClickLog:
    """A click log of the synthetic schema, split by `config`, its vocabularies fitted on the training rows alone."""
    split = split_rows(len(columns), config.seed)
    return ClickLog(
        name=NAME,
        schema=SCHEMA,
        columns=columns,
        clicks_N=clicks_N,
        split=split,
        vocabularies=_fit_vocabularies(columns[split.train], config.min_count),
        item_field=ITEM_FIELD,
        items=items,
        group_field=GROUP_FIELD,
        true_probability_N=true_probability_N,
        source=source,
    )


def split_rows(rows: int, seed: int) -> Split:
    """The split of `generate` for this seed: rows shuffled, then cut 8 : 1 : 1."""
    order, tenth = streams(seed)[-1].permutation(rows), rows // 10
    return Split(test=order[:tenth], validation=order[tenth : 2 * tenth], train=order[2 * tenth :])


def streams(seed: int) -> list[np.random.Generator]:
    """Independent generators for users, items, traffic, click model, clicks and split: none shifts another."""
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(6)]


def _fit_vocabularies(training: pl.DataFrame, min_count: int) -> dict[str, Vocabulary]:
    """A vocabulary for every field whose ids are not bucket numbers."""
    fields = [field for field in SCHEMA.fields if not isinstance(field.numeric, Buckets)]
    return {field.name: Vocabulary.fit(_counts(training[field.name], field), min_count=min_count) for field in fields}


def _counts(column: pl.Series, field: SchemaField) -> Counter[str]:
    """How often each value occurs, as the text the encoder looks up; missing values are left out."""
    counts: Counter[str] = Counter()
    for value, count in column.drop_nulls().value_counts().iter_rows():
        text = str(TRANSFORMS[field.numeric.transform](value)) if isinstance(field.numeric, Category) else value
        counts[text] += count
    return counts
