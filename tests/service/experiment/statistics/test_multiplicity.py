import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from service.experiment.statistics.errors import StatisticsError
from service.experiment.statistics.multiplicity import benjamini_hochberg, holm

PS = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@settings(max_examples=25, deadline=None)  # statsmodels takes its time
@given(PS)
def test_both_agree_with_statsmodels(p_M: list[float]) -> None:
    assert holm(p_M) == pytest.approx(multipletests(p_M, method="holm")[1], rel=1e-9)
    assert benjamini_hochberg(p_M) == pytest.approx(multipletests(p_M, method="fdr_bh")[1], rel=1e-9)


@given(PS)
def test_adjusting_never_helps_and_keeps_the_order(p_M: list[float]) -> None:
    for adjust in (holm, benjamini_hochberg):
        adjusted_M, order_M = adjust(p_M), np.argsort(p_M, kind="stable")
        assert (adjusted_M >= np.minimum(p_M, 1)).all()
        assert (np.diff(adjusted_M[order_M]) >= 0).all()


def test_none_to_adjust_is_none_and_no_probability_is_refused() -> None:
    assert holm([]).size == benjamini_hochberg([]).size == 0
    with pytest.raises(StatisticsError, match="numbers from 0 to 1"):
        holm([0.5, float("nan")])
