"""Two graphs of one model: the size of a request decides, and both are proved before they may answer."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from service.bundle import Bundle, read_bundle, write_bundle
from service.models import LoadError, load_model
from service.scoring import OnnxScorer, SizedScorer, by_size, graph_scorers

UP_TO = 5


def with_small(bundle: Bundle, model_small_onnx: bytes) -> Bundle:
    graph = dataclasses.replace(bundle.manifest.graph, small_form="rows", small_up_to=UP_TO)
    manifest = dataclasses.replace(bundle.manifest, graph=graph)
    return dataclasses.replace(bundle, manifest=manifest, model_small_onnx=model_small_onnx)


@pytest.fixture
def other(bundles: Path) -> Bundle:
    """A model of the same fields with other weights: its logits tell which graph ran."""
    return read_bundle(bundles / "teacher")


def test_the_size_of_a_request_decides_which_graph_runs(bundle: Bundle, other: Bundle) -> None:
    large, small = OnnxScorer(bundle.model_onnx), OnnxScorer(other.model_onnx)
    scorer = SizedScorer(large, small, UP_TO)
    assert scorer.name == "onnxruntime"
    request = bundle.golden.requests[-1]
    for rows in (1, UP_TO, UP_TO + 1, len(request.candidate_ids)):
        ids = request.context_ids, request.candidate_ids[:rows]
        expected = small if rows <= UP_TO else large
        np.testing.assert_array_equal(scorer.score(*ids), expected.score(*ids))


def test_a_bundle_without_a_small_graph_has_one_scorer(bundle: Bundle) -> None:
    (scorer,) = graph_scorers(bundle, OnnxScorer)
    assert by_size([scorer], 0) is scorer


def test_both_graphs_are_loaded_and_the_model_answers(bundle: Bundle, tmp_path: Path) -> None:
    write_bundle(tmp_path, with_small(bundle, bundle.model_onnx))
    model = load_model(tmp_path, scorer_factory=OnnxScorer, max_candidates=100)
    assert isinstance(model.scorer, SizedScorer)
    assert model.logit_gap <= 1e-5


def test_a_small_graph_of_another_model_is_refused(bundle: Bundle, other: Bundle, tmp_path: Path) -> None:
    write_bundle(tmp_path, with_small(bundle, other.model_onnx))
    with pytest.raises(LoadError, match="off by up to") as refused:
        load_model(tmp_path, scorer_factory=OnnxScorer, max_candidates=100)
    assert refused.value.reason == "golden"
