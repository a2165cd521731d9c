import numpy as np
import pytest

from training.evaluate.scores import bins, chance, grouped, scores

LOGITS = np.array([2.0, 1.0, -1.0, 0.5, 0.4, 3.0, -3.0])
CLICKS = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0])
GROUPS = np.array([2, 2, 2, 5, 5, 0, 1])


def test_missing_and_unknown_groups_are_no_groups() -> None:
    found = grouped(LOGITS, CLICKS, GROUPS)
    assert found is not None
    assert (found.groups, found.rows) == (2, 5)
    assert found.value == pytest.approx((3 * 0.5 + 2 * 1.0) / 5)
    assert scores(LOGITS, CLICKS, GROUPS)["gauc"] == found.value
    assert grouped(LOGITS, CLICKS, np.ones(7, np.int32)) is None


def test_rows_that_cannot_tell_a_metric_say_none() -> None:
    told = scores(LOGITS[:3], np.zeros(3), GROUPS[:3])
    assert [told[name] for name in ("auc", "gauc", "normalized_entropy", "calibration")] == [None] * 4
    assert told["log_loss"] is not None
    assert chance(np.full(3, -2.0), np.zeros(3)) == {
        "expected_clicks": pytest.approx(3 / (1 + np.exp(2.0))),
        "null_band": [pytest.approx(3 / (1 + np.exp(2.0)) / 2), None],
        "by_chance": True,
    }


def test_bins_are_plain_lists() -> None:
    told = bins(LOGITS, CLICKS)["bins"]
    assert sum(told["rows"]) == 7
    assert all(isinstance(column, list) for column in told.values())
