"""The terms are the model's own sum: against the scorers, and one by one against the definition written as loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from service.bundle import Bundle
from service.scoring import NativeScorer, OnnxScorer
from service.scoring.explain import Explainer, explainer_of

if TYPE_CHECKING:
    from tests.service.conftest import Dagfm


@pytest.fixture(params=["inner_bundle", "outer_bundle", "flat_bundle", "half_bundle", "int8_bundle"])
def dagfm_bundle(request: pytest.FixtureRequest) -> Bundle:
    found: Bundle = request.getfixturevalue(request.param)
    return found


def explainer(bundle: Bundle) -> Explainer:
    found = explainer_of(bundle.weights, bundle.embedding, bundle.encoder.sizes)
    assert found is not None
    return found


def test_bias_and_terms_add_up_to_the_logit_of_every_scorer(dagfm_bundle: Bundle) -> None:
    bundle = dagfm_bundle
    assert bundle.weights is not None
    assert bundle.embedding is not None
    native = NativeScorer(bundle.weights, bundle.embedding, bundle.encoder.sizes, len(bundle.schema.context))
    for scorer in (native, OnnxScorer(bundle.model_onnx, bundle.embedding)):
        for golden in bundle.golden:
            terms_NTF = explainer(bundle).terms(golden.context_ids, golden.candidate_ids)
            logits_N = scorer.score(golden.context_ids, golden.candidate_ids)
            sums_N = explainer(bundle).bias + terms_NTF.sum(axis=(1, 2))
            np.testing.assert_allclose(sums_N, logits_N, atol=1e-5, rtol=0)


def test_there_is_a_term_for_every_field_at_every_order(dagfm_bundle: Bundle) -> None:
    golden = dagfm_bundle.golden.requests[-1]
    terms_NTF = explainer(dagfm_bundle).terms(golden.context_ids, golden.candidate_ids)
    orders, fields = explainer(dagfm_bundle).orders, len(dagfm_bundle.schema.fields)
    assert terms_NTF.shape == (len(golden.candidate_ids), len(orders), fields)
    assert orders == [1, 2, 3]


def test_terms_of_context_fields_are_those_of_every_candidate(outer_bundle: Bundle) -> None:
    """A context field receives from context fields alone."""
    golden = outer_bundle.golden.requests[-1]
    terms_NTF = explainer(outer_bundle).terms(golden.context_ids, golden.candidate_ids)
    context_NTF = terms_NTF[:, :, : len(outer_bundle.schema.context)]
    np.testing.assert_array_equal(context_NTF, np.broadcast_to(context_NTF[0], context_NTF.shape))
    assert np.ptp(terms_NTF[:, :, -1], axis=0).all()


@pytest.mark.parametrize("outer", [True, False])
@pytest.mark.parametrize("context", [0, 2])
def test_each_term_is_what_the_logit_loses_without_its_readout(
    dagfm_of: Callable[..., Dagfm], outer: bool, context: int
) -> None:
    """One readout weight set to zero takes away one term and nothing else."""
    model = dagfm_of(outer=outer, dimension=3, context=context, candidates=3, layers=2)
    ids = model.ids(2, 1)
    weights, whole_N = model.weights, model.expected(*ids)
    terms_NTF = Explainer(weights, model.embedding, model.sizes).terms(*ids)
    readout_TF = weights.readout_TF
    for place in np.ndindex(readout_TF.shape):
        kept, readout_TF[place] = readout_TF[place], 0
        lost_N = whole_N - model.expected(*ids)
        readout_TF[place] = kept
        np.testing.assert_allclose(terms_NTF[:, *place], lost_N, atol=1e-12, rtol=0)


def test_weights_of_absent_edges_have_no_say(dagfm_of: Callable[..., Dagfm]) -> None:
    model = dagfm_of(outer=True, dimension=3, context=1, candidates=3, layers=2)
    ids = model.ids(2, 1)
    before_NTF = Explainer(model.weights, model.embedding, model.sizes).terms(*ids)
    model.weights.p_LFFD[:, 3, 0] = 1e6  # from the last field to the first
    after_NTF = Explainer(model.weights, model.embedding, model.sizes).terms(*ids)
    np.testing.assert_array_equal(before_NTF, after_NTF)


def test_a_model_without_weights_has_no_explainer(bundle: Bundle) -> None:
    assert explainer_of(bundle.weights, bundle.embedding, bundle.encoder.sizes) is None
