import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from training.metrics import auc, gauc

ROWS = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=40)
GROUPED = st.lists(st.tuples(st.integers(-2, 2), st.booleans(), st.integers(-1, 4)), min_size=1, max_size=60)


@given(ROWS)
def test_auc_is_the_share_of_pairs_in_the_right_order(rows: list[tuple[int, bool]]) -> None:
    logits, clicks = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows], float)
    pairs = [(high > low) + (high == low) / 2 for high in logits[clicks == 1] for low in logits[clicks == 0]]
    if not pairs:
        with pytest.raises(ValueError, match="clicked"):
            auc(logits, clicks)
    else:
        assert auc(logits, clicks) == pytest.approx(np.mean(pairs), abs=1e-12)


def group_by_group(logits: np.ndarray, clicks: np.ndarray, groups: np.ndarray) -> tuple[float, int, int]:
    """Value, groups and rows of GAUC, one group after the other."""
    weighted, ranked, rows = 0.0, 0, 0
    for group in np.unique(groups):
        inside = groups == group
        if 0 < clicks[inside].sum() < inside.sum():
            weighted += inside.sum() * roc_auc_score(clicks[inside], logits[inside])
            ranked, rows = ranked + 1, rows + int(inside.sum())
    return weighted / max(rows, 1), ranked, rows


@given(GROUPED)
def test_gauc_is_the_mean_auc_of_groups_weighted_by_their_rows(rows: list[tuple[int, bool, int]]) -> None:
    logits, clicks, groups = (np.array(column) for column in zip(*rows, strict=True))
    value, ranked, rows_ranked = group_by_group(logits, clicks, groups)
    if not ranked:
        with pytest.raises(ValueError, match="GAUC needs a group with clicked and unclicked rows: got none among"):
            gauc(logits, clicks, groups)
        return
    found = gauc(logits, clicks, groups)
    assert found.value == pytest.approx(value, abs=1e-12)
    assert (found.groups, found.rows) == (ranked, rows_ranked)
    assert found.groups_left_out == len(np.unique(groups)) - ranked
    assert found.rows_left_out == len(rows) - rows_ranked


def test_gauc_of_many_groups_is_that_of_a_loop() -> None:
    rng = np.random.default_rng(0)
    groups = rng.zipf(1.3, 20_000) % 700
    logits = rng.normal(size=groups.size).round(2).astype(np.float32)
    clicks = (rng.random(groups.size) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    found = gauc(logits, clicks, groups.astype(np.int32))
    assert found[:3] == (pytest.approx(group_by_group(logits, clicks, groups)[0], abs=1e-12), found.groups, found.rows)
    assert found.groups_left_out > 0


def test_gauc_of_one_group_is_auc_and_does_not_see_what_is_added_to_a_group() -> None:
    rng = np.random.default_rng(1)
    logits, clicks, groups = rng.normal(size=500), rng.integers(0, 2, 500), rng.integers(0, 9, 500)
    assert gauc(logits, clicks, np.zeros(500, np.int32)).value == pytest.approx(auc(logits, clicks), abs=1e-12)
    shifted = gauc(logits + 10.0 * groups, clicks, groups)
    assert shifted.value == pytest.approx(gauc(logits, clicks, groups).value, abs=1e-12)
