"""The click model against its own equations, computed slowly."""

import itertools

import numpy as np
import pytest

from training.data.click_model import GROUPS, Levels, Logits, bias_for, logit_parts
from training.data.synthetic_format import SCHEMA
from training.metrics import sigmoid

CONTEXT = {field.name for field in SCHEMA.context}


@pytest.fixture(scope="module")
def levels_of_independent_fields() -> dict[str, Levels]:
    """Independent uniform levels: what the equations promise then holds up to sampling error."""
    random = np.random.default_rng(3)
    return {field.name: random.integers(0, 4, 20_000) for field in SCHEMA.fields}


@pytest.fixture(scope="module")
def parts(levels_of_independent_fields: dict[str, Levels]) -> dict[int, Logits]:
    return logit_parts(levels_of_independent_fields, {}, np.random.default_rng(4))


def explained(target_N: Logits, keys_N: Levels) -> float:
    """Share of variance that the best function of `keys_N` explains: that of its cell means."""
    _, cell_N = np.unique(keys_N, return_inverse=True)
    means = np.bincount(cell_N, target_N) / np.bincount(cell_N)
    return float(means[cell_N].var() / target_N.var())


def test_every_group_has_its_order_and_joins_a_user_side_with_an_item_side() -> None:
    for order, groups in GROUPS.items():
        for group in groups:
            assert len(set(group)) == order
            assert CONTEXT & set(group)
            assert set(group) - CONTEXT


def test_every_part_has_mean_zero_and_spread_one(parts: dict[int, Logits]) -> None:
    for part_N in parts.values():
        assert part_N.mean() == pytest.approx(0, abs=1e-9)
        assert part_N.std() == pytest.approx(1)


def test_parts_of_different_order_are_uncorrelated(parts: dict[int, Logits]) -> None:
    """Twenty thousand rows: a correlation of independent parts has a standard error of 0.007."""
    for one, other in itertools.combinations(parts.values(), 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.05


def test_an_interaction_is_hidden_from_every_single_field(
    parts: dict[int, Logits], levels_of_independent_fields: dict[str, Levels]
) -> None:
    """The best function of one field explains next to nothing of orders 2 to 4, but much of order 1."""
    for order in (2, 3, 4):
        for level_N in levels_of_independent_fields.values():
            assert explained(parts[order], level_N) < 0.01
    assert sum(explained(parts[1], level_N) for level_N in levels_of_independent_fields.values()) > 0.9


def test_the_fourth_order_is_hidden_from_pairs_and_seen_by_its_groups(
    parts: dict[int, Logits], levels_of_independent_fields: dict[str, Levels]
) -> None:
    levels = levels_of_independent_fields
    for one, other in itertools.combinations(levels, 2):
        assert explained(parts[4], levels[one] * 4 + levels[other]) < 0.02
    seen = [sum(levels[name] * 4**place for place, name in enumerate(group)) for group in GROUPS[4]]
    assert sum(explained(parts[4], cells_N) for cells_N in seen) > 0.9


@pytest.mark.parametrize("name", ["item_id", "user_id"])
def test_a_field_of_weight_zero_has_no_effect(levels_of_independent_fields: dict[str, Levels], name: str) -> None:
    reversed_field = levels_of_independent_fields | {name: levels_of_independent_fields[name][::-1]}
    one = logit_parts(levels_of_independent_fields, {name: 0.0}, np.random.default_rng(1))
    other = logit_parts(reversed_field, {name: 0.0}, np.random.default_rng(1))
    for order in one:
        np.testing.assert_allclose(one[order], other[order], atol=1e-9)


def test_a_part_that_cannot_vary_is_zero() -> None:
    levels = {field.name: np.zeros(10, np.int64) for field in SCHEMA.fields}
    for part_N in logit_parts(levels, {}, np.random.default_rng(0)).values():
        np.testing.assert_allclose(part_N, 0, atol=1e-6)


@pytest.mark.parametrize("click_rate", [0.001, 0.22, 0.5, 0.97])
def test_the_bias_gives_the_click_rate(click_rate: float) -> None:
    logits_N = np.random.default_rng(0).normal(0, 2, 1000)
    assert sigmoid(logits_N + bias_for(logits_N, click_rate)).mean() == pytest.approx(click_rate, rel=1e-6)
