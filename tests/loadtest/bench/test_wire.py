"""Every form of a request is answered, and all of them, by all servers, with the same probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loadtest.bench import wire
from loadtest.bench.apps import RowsModel, reference, tutorial
from loadtest.bench.bundles import Subject, onnx_scorer
from loadtest.bench.wire import Sample, WireForm
from service.api.requests import KEYS
from service.bundle import read_bundle

CANDIDATES = 7


def expected(subject: Subject, sample: Sample) -> np.ndarray:
    """From the bundle's own graph, which shares no code with the graph of rows."""
    logits_N = onnx_scorer(read_bundle(subject.root)).score(sample.context_ids, sample.candidate_ids)
    return 1 / (1 + np.exp(-logits_N.astype(np.float64)))


@pytest.mark.parametrize("form", wire.OUR_FORMS, ids=lambda form: form.name)
def test_the_service_answers_every_form_with_the_models_probabilities(
    subject: Subject, service: Any, samples: list[Sample], form: WireForm
) -> None:
    if form is wire.ID_COLUMNS and "context_ids" not in KEYS:
        pytest.skip("this service takes no columns of ids")
    for sample in samples:
        np.testing.assert_allclose(service.probabilities(form, sample), expected(subject, sample), atol=1e-6)


@pytest.mark.parametrize(
    ("make_app", "form"), [(reference, wire.ID_ROWS), (tutorial, wire.TYPED_ROWS)], ids=["reference", "tutorial"]
)
def test_the_servers_compared_with_answer_the_same(
    subject: Subject, ask: Any, samples: list[Sample], make_app: Any, form: WireForm
) -> None:
    app = ask(make_app(subject.rows_graph))
    for sample in samples:
        np.testing.assert_allclose(app.probabilities(form, sample), expected(subject, sample), atol=1e-6)


def test_probabilities_differ_between_candidates_and_between_requests(subject: Subject, samples: list[Sample]) -> None:
    """A model that answers one number would make every check above pass."""
    model = RowsModel(subject.rows_graph)
    found = np.concatenate([model.probabilities(sample.rows) for sample in samples])
    assert len(np.unique(found.round(4))) > 15
    assert found.std() > 0.01


def test_requests_differ_and_are_the_same_on_every_call(subject: Subject, samples: list[Sample]) -> None:
    bodies = [wire.ITEM_IDS.request(sample) for sample in samples]
    assert len(set(bodies)) == 3
    assert bodies == [wire.ITEM_IDS.request(sample) for sample in wire.make_samples(subject.bundle, CANDIDATES, 3)]


def test_values_are_known_ones(subject: Subject, samples: list[Sample]) -> None:
    """Ids from 2: unknown values would make the service count them and do more than it has to."""
    for sample in samples:
        assert sample.rows.min() >= 2
        assert (sample.rows < np.array(subject.bundle.encoder.sizes)).all()


def test_the_length_is_that_of_the_body(samples: list[Sample]) -> None:
    for form in (*wire.OUR_FORMS, wire.ID_ROWS, wire.TYPED_ROWS, wire.EMPTY):
        head, _, body = form.request(samples[0]).partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")
