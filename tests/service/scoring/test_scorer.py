from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from service.bundle import Bundle, BundleError, Ids
from service.scoring import Logits, OnnxScorer, prove

Alter = Callable[[Logits], Logits]


class Altered:
    """The real scorer with something done to its logits [N]."""

    name = "altered"

    def __init__(self, bundle: Bundle, alter: Alter) -> None:
        self._real = OnnxScorer(bundle.model_onnx)
        self._alter = alter

    def score(self, context_ids: Ids, candidate_ids: Ids) -> Logits:
        return self._alter(self._real.score(context_ids, candidate_ids))


def one_changed(value: float) -> Alter:
    def change(logits_N: Logits) -> Logits:
        logits_N[-1] = value if not np.isfinite(value) else logits_N[-1] + value
        return logits_N

    return change


def test_the_real_scorer_proves_itself_and_the_gap_is_returned(bundle: Bundle) -> None:
    assert 0.0 <= prove(OnnxScorer(bundle.model_onnx), bundle.golden) <= 1e-5


def test_a_gap_over_the_tolerance_is_refused_with_its_size(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"off by up to 0\.0(1|099)\d* .*at most 1e-05"):
        prove(Altered(bundle, one_changed(0.01)), bundle.golden)


def test_the_tolerance_decides(bundle: Bundle) -> None:
    scorer = Altered(bundle, one_changed(0.01))
    assert prove(scorer, bundle.golden, tolerance=0.02) == pytest.approx(0.01, abs=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused(bundle: Bundle, value: float) -> None:
    with pytest.raises(BundleError, match=r"request 0: .* 1 of them not finite"):
        prove(Altered(bundle, one_changed(value)), bundle.golden)


def test_another_shape_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"logits of shape \(1, 1\)"):
        prove(Altered(bundle, lambda logits_N: logits_N[:, None]), bundle.golden)


def test_a_scorer_that_fails_is_refused_with_its_reason(bundle: Bundle) -> None:
    def fail(logits_N: Logits) -> Logits:
        raise RuntimeError("out of luck")

    with pytest.raises(BundleError, match="request 0: altered failed: out of luck"):
        prove(Altered(bundle, fail), bundle.golden)
