"""The synthetic log: deterministic, calibrated by construction, and hard for a model without interactions."""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from pydantic import ValidationError

from service.bundle import PADDING_ID, UNKNOWN_ID, Buckets, Category, Encoder, Role
from training.data.click_log import ClickLog
from training.data.synthetic import MAX_LOGIT, SyntheticConfig, best_reachable, generate
from training.data.synthetic_format import SCHEMA, split_rows

CONFIG = SyntheticConfig(rows=60_000, users=5_000, items=800, seed=11)
USER_FIELDS = ["age", "gender", "country", "days_since_signup"]
ITEM_FIELDS = ["category", "brand", "price", "days_since_listed"]


@pytest.fixture(scope="module")
def log() -> ClickLog:
    return generate(CONFIG)


def without_interactions(config: SyntheticConfig) -> SyntheticConfig:
    return config.model_copy(update={"second_order": 0.0, "third_order": 0.0, "fourth_order": 0.0})


def surprise(log: ClickLog, rows: slice | npt.NDArray[Any]) -> float:
    """How many standard deviations the clicks of `rows` lie from what their true probabilities promise."""
    p, clicks = probability(log)[rows], log.clicks_N[rows].astype(np.float64)
    return float((clicks.sum() - p.sum()) / np.sqrt((p * (1 - p)).sum()))


def probability(log: ClickLog) -> npt.NDArray[np.float64]:
    assert log.true_probability_N is not None
    return log.true_probability_N


def test_the_same_config_gives_the_same_log(log: ClickLog) -> None:
    again = generate(CONFIG)
    assert again.columns.equals(log.columns)
    assert again.items.equals(log.items)
    assert again.vocabularies == log.vocabularies
    np.testing.assert_array_equal(again.clicks_N, log.clicks_N)
    np.testing.assert_array_equal(probability(again), probability(log))
    np.testing.assert_array_equal(again.split.train, log.split.train)


def test_another_seed_gives_another_log(log: ClickLog) -> None:
    other = generate(CONFIG.model_copy(update={"seed": 12}))
    assert not other.columns.equals(log.columns)
    assert not np.array_equal(other.clicks_N, log.clicks_N)
    assert not np.array_equal(other.split.train, log.split.train)


def test_more_rows_leave_users_and_items_as_they_are(log: ClickLog) -> None:
    longer = generate(CONFIG.model_copy(update={"rows": 70_000}))
    assert longer.items.equals(log.items)
    both = (
        log.columns.select("user_id", *USER_FIELDS)
        .unique()
        .join(longer.columns.select("user_id", *USER_FIELDS).unique(), on="user_id", suffix="_longer")
    )
    assert len(both) > 1000
    for name in USER_FIELDS:
        assert both[name].equals(both[f"{name}_longer"], check_names=False)


def test_the_mean_true_probability_is_the_click_rate(log: ClickLog) -> None:
    assert probability(log).mean() == pytest.approx(CONFIG.click_rate, abs=1e-6)


def test_clicks_agree_with_the_true_probability_overall(log: ClickLog) -> None:
    assert abs(surprise(log, slice(None))) < 4


def test_clicks_agree_with_the_true_probability_in_every_decile(log: ClickLog) -> None:
    for rows in np.array_split(np.argsort(probability(log)), 10):
        assert abs(surprise(log, rows)) < 4


def test_clicks_are_drawn_independently_of_everything_but_the_probability(log: ClickLog) -> None:
    """Beyond the true probability, no item's clicks are surprising: the squared surprises average one."""
    item_N = log.columns["item_id"].rank("dense").to_numpy().astype(int) - 1
    squared = [surprise(log, item_N == item) ** 2 for item in range(200)]
    assert np.mean(squared) == pytest.approx(1, abs=0.5)


def test_interactions_carry_much_of_what_can_be_ranked(log: ClickLog) -> None:
    """The same clicks, ranked by the click model without its interactions, are ranked far worse."""
    first_order = generate(without_interactions(CONFIG))
    assert first_order.columns.equals(log.columns)
    whole = best_reachable(probability(log), log.clicks_N)
    part = best_reachable(probability(first_order), log.clicks_N)
    assert whole["auc"] > part["auc"] + 0.08
    assert whole["log_loss"] < part["log_loss"] - 0.03


@pytest.mark.parametrize("order", ["second_order", "third_order", "fourth_order"])
def test_each_order_of_interaction_counts(log: ClickLog, order: str) -> None:
    weaker = generate(CONFIG.model_copy(update={order: 0.0}))
    gain = best_reachable(probability(log), log.clicks_N)["auc"]
    gain -= best_reachable(probability(weaker), log.clicks_N)["auc"]
    assert gain > 0.015


def test_the_spread_of_true_logits_is_the_sum_of_the_strengths_variances(log: ClickLog) -> None:
    logits_N = np.log(probability(log)) - np.log1p(-probability(log))
    expected = np.sqrt(sum(strength**2 for strength in CONFIG.strengths.values()))
    assert logits_N.std() == pytest.approx(expected, rel=0.1)


def test_no_strength_at_all_leaves_a_coin(log: ClickLog) -> None:
    flat = without_interactions(CONFIG).model_copy(update={"first_order": 0.0})
    np.testing.assert_allclose(probability(generate(flat)), CONFIG.click_rate, atol=1e-6)


@pytest.mark.parametrize(("field", "exponent"), [("user_id", 0.9), ("item_id", 1.2), ("item_id", 0.0)])
def test_popularity_follows_zipfs_law(field: str, exponent: float) -> None:
    """The slope of log count against log rank over the most popular 50."""
    side = "user_exponent" if field == "user_id" else "item_exponent"
    log = generate(CONFIG.model_copy(update={side: exponent}))
    counts = np.sort(log.columns[field].value_counts()["count"].to_numpy())[::-1][:50]
    slope = np.polyfit(np.log(np.arange(1, 51)), np.log(counts), 1)[0]
    assert slope == pytest.approx(-exponent, abs=0.12)


@pytest.mark.parametrize(("owner", "fields"), [("user_id", USER_FIELDS), ("item_id", ITEM_FIELDS)])
def test_attributes_are_fixed_per_user_and_per_item(log: ClickLog, owner: str, fields: list[str]) -> None:
    assert len(log.columns.select(owner, *fields).unique()) == log.columns[owner].n_unique()


def test_device_and_hour_change_from_row_to_row(log: ClickLog) -> None:
    most_active = log.columns.filter(pl.col("user_id") == "user_0")
    assert most_active["device"].n_unique() == 4
    assert most_active["hour"].n_unique() == 24


def test_context_fields_come_first_and_both_numeric_rules_occur(log: ClickLog) -> None:
    roles = [field.role for field in log.schema.fields]
    assert roles == [Role.CONTEXT] * 7 + [Role.CANDIDATE] * 5
    rules = {(field.role, type(field.numeric)) for field in log.schema.fields if field.numeric}
    assert rules == {(Role.CONTEXT, Buckets), (Role.CANDIDATE, Buckets), (Role.CANDIDATE, Category)}


def test_columns_stand_in_schema_order(log: ClickLog) -> None:
    assert log.columns.columns == [field.name for field in SCHEMA.fields]
    assert log.items.columns == [field.name for field in SCHEMA.candidate]


def test_the_split_is_eight_to_one_to_one_and_disjoint(log: ClickLog) -> None:
    parts = [log.split.train, log.split.validation, log.split.test]
    assert [len(part) for part in parts] == [48_000, 6_000, 6_000]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(60_000))


def test_the_split_depends_on_the_seed_alone() -> None:
    np.testing.assert_array_equal(split_rows(100, 5).test, split_rows(100, 5).test)
    assert not np.array_equal(split_rows(100, 5).test, split_rows(100, 6).test)


def test_vocabularies_hold_what_training_rows_show_often_enough(log: ClickLog) -> None:
    counts = dict(log.columns["user_id"][log.split.train].value_counts().iter_rows())
    expected = {value for value, count in counts.items() if count >= CONFIG.min_count}
    assert set(log.vocabularies["user_id"].values) == expected


def test_a_higher_min_count_makes_more_values_unknown(log: ClickLog) -> None:
    strict = generate(CONFIG.model_copy(update={"min_count": 20}))
    assert len(strict.vocabularies["user_id"]) < len(log.vocabularies["user_id"])


def test_unknown_and_missing_values_occur_in_validation_and_test(log: ClickLog) -> None:
    encoder = Encoder(log.schema, log.vocabularies)
    for rows in (log.split.validation, log.split.test):
        users = encoder.encode_column("user_id", log.columns["user_id"][rows].to_list())
        genders = encoder.encode_column("gender", log.columns["gender"][rows].to_list())
        assert (users == UNKNOWN_ID).any()
        assert (genders == PADDING_ID).any()


def test_every_column_is_what_the_encoder_takes(log: ClickLog) -> None:
    """Numeric fields encode to known values: none of the training rows' prices is unknown."""
    encoder = Encoder(log.schema, log.vocabularies)
    head = log.columns.head(2_000)
    ids_NF = encoder.encode(log.schema.fields, {name: head[name].to_list() for name in head.columns})
    assert (ids_NF >= 0).all()
    assert (ids_NF < np.array(encoder.sizes)).all()
    price = [field.name for field in log.schema.fields].index("price")
    assert (ids_NF[:, price] > UNKNOWN_ID).mean() > 0.99


def test_items_are_all_items_each_once(log: ClickLog) -> None:
    assert log.items["item_id"].n_unique() == len(log.items) == CONFIG.items
    shown = log.columns.select(log.items.columns).unique()
    assert len(shown.join(log.items, on=log.items.columns, how="anti")) == 0


def test_the_smallest_log_has_finite_probabilities() -> None:
    log = generate(SyntheticConfig(rows=10, users=1, items=1))
    assert np.isfinite(probability(log)).all()


def test_a_strong_click_model_keeps_its_logits_within_bounds() -> None:
    """So that a probability is never 0 or 1, and its logit is finite."""
    log = generate(SyntheticConfig(rows=20_000, first_order=3.0, second_order=3.0, third_order=3.0, fourth_order=3.0))
    logits_N = np.log(probability(log)) - np.log1p(-probability(log))
    assert np.abs(logits_N).max() == pytest.approx(MAX_LOGIT)


def test_best_reachable_is_the_click_models_own_auc_and_log_loss() -> None:
    """Against all pairs and the textbook formula, on a handful of rows."""
    p_N, clicks_N = np.array([0.1, 0.4, 0.4, 0.8]), np.array([0, 1, 0, 1], np.float32)
    pairs = [(p > q) + (p == q) / 2 for p in p_N[clicks_N == 1] for q in p_N[clicks_N == 0]]
    log_loss = -np.mean(clicks_N * np.log(p_N) + (1 - clicks_N) * np.log(1 - p_N))
    assert best_reachable(p_N, clicks_N) == pytest.approx({"auc": np.mean(pairs), "log_loss": log_loss})


@pytest.mark.parametrize("wrong", [{"rows": 0}, {"click_rate": 1.0}, {"first_order": -1.0}, {"rwos": 10}])
def test_a_config_out_of_range_or_with_an_unknown_key_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        SyntheticConfig.model_validate(wrong)


def test_the_source_names_the_recipe_so_that_the_log_can_be_made_again(log: ClickLog) -> None:
    recipe = {key: value for key, value in log.source.items() if key != "recipe"}
    assert SyntheticConfig.model_validate(recipe) == CONFIG
