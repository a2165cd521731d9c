"""What holds of every scorer, shown on DAGFMs, which all scorers can run."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from service.bundle import Bundle
from service.scoring import NativeScorer, OnnxScorer, Scorer, prove

ScorerOf = Callable[[Bundle], Scorer]


def native(bundle: Bundle) -> Scorer:
    assert bundle.weights is not None
    assert bundle.embedding is not None
    return NativeScorer(bundle.weights, bundle.embedding, bundle.encoder.sizes, len(bundle.schema.context))


def onnx(bundle: Bundle) -> Scorer:
    return OnnxScorer(bundle.model_onnx, bundle.embedding)


every_scorer = pytest.mark.parametrize("scorer_of", [onnx, native])


@pytest.fixture(params=["inner_bundle", "outer_bundle", "flat_bundle", "half_bundle", "int8_bundle"])
def dagfm_bundle(request: pytest.FixtureRequest) -> Bundle:
    found: Bundle = request.getfixturevalue(request.param)
    return found


@every_scorer
def test_golden_logits_by_the_definition_are_met(dagfm_bundle: Bundle, scorer_of: ScorerOf) -> None:
    scorer = scorer_of(dagfm_bundle)
    assert prove(scorer, dagfm_bundle.golden) <= 1e-5
    for request in dagfm_bundle.golden:
        logits_N = scorer.score(request.context_ids, request.candidate_ids)
        assert logits_N.dtype == np.float32
        np.testing.assert_allclose(logits_N, request.logits, atol=1e-5, rtol=0)


@every_scorer
def test_a_candidate_alone_has_the_logit_it_has_in_a_batch(dagfm_bundle: Bundle, scorer_of: ScorerOf) -> None:
    scorer = scorer_of(dagfm_bundle)
    request = dagfm_bundle.golden.requests[-1]
    batch_N = scorer.score(request.context_ids, request.candidate_ids)
    alone_N = [scorer.score(request.context_ids, row_F[None])[0] for row_F in request.candidate_ids]
    np.testing.assert_allclose(alone_N, batch_N, atol=1e-6, rtol=0)


@every_scorer
def test_logits_once_given_are_not_written_again(outer_bundle: Bundle, scorer_of: ScorerOf) -> None:
    scorer, (one, other, _last) = scorer_of(outer_bundle), outer_bundle.golden.requests
    logits_N = scorer.score(one.context_ids, one.candidate_ids)
    kept_N = logits_N.copy()
    scorer.score(other.context_ids, other.candidate_ids)
    np.testing.assert_array_equal(logits_N, kept_N)


@every_scorer
def test_ids_need_not_be_contiguous(outer_bundle: Bundle, scorer_of: ScorerOf) -> None:
    scorer, request = scorer_of(outer_bundle), outer_bundle.golden.requests[-1]
    rows_NF = np.hstack([np.repeat(request.context_ids, len(request.candidate_ids), axis=0), request.candidate_ids])
    strided_N = scorer.score(rows_NF[:1, :2], rows_NF[:, 2:])
    np.testing.assert_array_equal(strided_N, scorer.score(request.context_ids, request.candidate_ids))


@every_scorer
def test_threads_get_equal_bits(outer_bundle: Bundle, scorer_of: ScorerOf) -> None:
    scorer, request = scorer_of(outer_bundle), outer_bundle.golden.requests[-1]
    with ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(scorer.score, request.context_ids, request.candidate_ids) for _ in range(64)]
    assert len({run.result().tobytes() for run in runs}) == 1


@every_scorer
@pytest.mark.parametrize("bad", [-(2**31), 2**31 - 1])
def test_an_id_far_outside_is_refused_not_read(outer_bundle: Bundle, scorer_of: ScorerOf, bad: int) -> None:
    scorer, request = scorer_of(outer_bundle), outer_bundle.golden.requests[-1]
    for side in (0, 1):
        ids = [request.context_ids.copy(), request.candidate_ids.copy()]
        ids[side][-1, -1] = bad
        with pytest.raises(Exception, match=r"no such id|indices element out of data bounds"):
            scorer.score(*ids)


@every_scorer
def test_another_element_type_is_refused(outer_bundle: Bundle, scorer_of: ScorerOf) -> None:
    request = outer_bundle.golden.requests[-1]
    with pytest.raises(Exception, match=r"candidate_ids|tensor\(int64\)"):
        scorer_of(outer_bundle).score(request.context_ids, request.candidate_ids.astype(np.int64))  # type: ignore[arg-type]
