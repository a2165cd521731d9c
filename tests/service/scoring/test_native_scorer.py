"""The choice between the native scorer and onnxruntime, up to what a running service says about it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from service.bundle import Bundle, BundleError, EmbeddingTable, Weights, read_bundle, write_bundle
from service.scoring import NativeScorer, OnnxScorer, choose_scorer
from service.scoring.choice import RANDOM_SIZES, agree, random_requests

if TYPE_CHECKING:
    from tests.conftest import OpenClient

ROOT = Path(__file__).parents[3]

SERVE_WITHOUT_THE_EXTENSION = """
import logging, sys
from pathlib import Path

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name == "service.native._dagfm":
            raise ImportError("no such file")

sys.meta_path.insert(0, Blocked())
from fastapi.testclient import TestClient
from service.app import create_app
from service.settings import Settings

logging.basicConfig(level="WARNING", format="%(message)s", stream=sys.stdout)
settings = Settings(student_bundle=Path(sys.argv[1]), teacher_bundle=None, scorer=sys.argv[2])
with TestClient(create_app(settings)) as client:
    print(client.get("/readyz").text)
    print(client.get("/models").text)
    print(client.get("/metrics").text)
"""


def other_weights(bundle: Bundle, **changed: Any) -> Bundle:
    assert bundle.weights is not None
    return dataclasses.replace(bundle, weights=dataclasses.replace(bundle.weights, **changed))


def last_row_changed(bundle: Bundle) -> Bundle:
    """Wrong in one embedding that no golden request uses, for a reference that reads another table."""
    assert bundle.embedding is not None
    table_VD = bundle.embedding.rows_VD.copy()
    sizes, context = bundle.encoder.sizes, len(bundle.schema.context)
    used = {int(id_) for request in bundle.golden for id_ in request.candidate_ids[:, 0]}
    unused = next(id_ for id_ in range(sizes[context]) if id_ not in used)
    table_VD[sum(sizes[:context]) + unused] += 1
    return dataclasses.replace(bundle, embedding=EmbeddingTable(rows_VD=table_VD))


def test_a_good_native_scorer_is_chosen_and_says_how_good(outer_bundle: Bundle) -> None:
    choice = choose_scorer(OnnxScorer(outer_bundle.model_onnx, outer_bundle.embedding), outer_bundle, "auto")
    assert (choice.scorer.name, choice.result) == ("native", "chosen")
    assert "of onnxruntime on golden and random requests" in choice.reason


@pytest.mark.parametrize("kind", ["half_bundle", "int8_bundle"])
def test_native_is_chosen_for_tables_in_fewer_bytes_too(kind: str, request: pytest.FixtureRequest) -> None:
    bundle: Bundle = request.getfixturevalue(kind)
    choice = choose_scorer(OnnxScorer(bundle.model_onnx, bundle.embedding), bundle, "auto")
    assert (choice.scorer.name, choice.result) == ("native", "chosen")


@pytest.mark.parametrize("wanted", ["auto", "native", "onnxruntime"])
def test_a_model_without_weights_runs_as_a_graph_whatever_is_wanted(bundle: Bundle, wanted: Any) -> None:
    reference = OnnxScorer(bundle.model_onnx)
    choice = choose_scorer(reference, bundle, wanted)
    assert choice.scorer is reference
    assert choice.result == "no_weights"


def test_onnxruntime_if_that_is_wanted(outer_bundle: Bundle) -> None:
    reference = OnnxScorer(outer_bundle.model_onnx, outer_bundle.embedding)
    choice = choose_scorer(reference, outer_bundle, "onnxruntime")
    assert choice.scorer is reference
    assert choice.result == "not_wanted"


def test_wrong_weights_are_refused_by_the_golden_requests(outer_bundle: Bundle) -> None:
    assert outer_bundle.weights is not None
    wrong = other_weights(outer_bundle, bias_1=outer_bundle.weights.bias_1 + np.float32(2e-5))
    choice = choose_scorer(OnnxScorer(wrong.model_onnx, wrong.embedding), wrong, "auto")
    assert (choice.scorer.name, choice.result) == ("onnxruntime", "refused")
    assert choice.reason.startswith("golden.npz: native is off by up to 2")


def test_an_error_that_no_golden_request_shows_is_found_by_the_random_ones(outer_bundle: Bundle) -> None:
    reference = OnnxScorer(outer_bundle.model_onnx, outer_bundle.embedding)
    choice = choose_scorer(reference, last_row_changed(outer_bundle), "auto")
    assert choice.result == "refused"
    assert choice.reason.startswith("random requests scored by onnxruntime")


def test_where_nothing_but_native_will_do_a_wrong_one_is_an_error(outer_bundle: Bundle) -> None:
    reference = OnnxScorer(outer_bundle.model_onnx, outer_bundle.embedding)
    with pytest.raises(BundleError, match="CTR_SCORER is native, and the native scorer cannot answer: random"):
        choose_scorer(reference, last_row_changed(outer_bundle), "native")


def test_weights_of_other_fields_are_a_bundle_error(outer_bundle: Bundle) -> None:
    assert outer_bundle.weights is not None
    assert outer_bundle.embedding is not None
    sizes = [size + 1 for size in outer_bundle.encoder.sizes]
    with pytest.raises(BundleError, match=r"weights\.npz, embedding\.npy: sizes: they do not add up"):
        NativeScorer(outer_bundle.weights, outer_bundle.embedding, sizes, 2)


def test_random_requests_cover_blocks_and_special_ids() -> None:
    sizes = [3, 50, 2, 1000]
    requests = list(random_requests(sizes, 2))
    assert tuple(len(candidate_ids) for _context, candidate_ids in requests) == RANDOM_SIZES
    contexts_GF = np.concatenate([context_ids for context_ids, _candidates in requests])
    candidates_NF = np.concatenate([candidate_ids for _context, candidate_ids in requests])
    assert (contexts_GF < sizes[:2]).all()
    assert {0, 1, 999} <= set(candidates_NF[:, 1].tolist())
    assert len(set(candidates_NF[:, 1].tolist())) > 100


def test_the_random_requests_are_scored_by_both(outer_bundle: Bundle) -> None:
    assert outer_bundle.weights is not None
    assert outer_bundle.embedding is not None
    scorer = NativeScorer(outer_bundle.weights, outer_bundle.embedding, outer_bundle.encoder.sizes, 2)
    assert 0 < agree(scorer, OnnxScorer(outer_bundle.model_onnx, outer_bundle.embedding), outer_bundle) <= 1e-5


def test_the_service_says_that_native_answers(open_client: OpenClient, outer_path: Path, outer_bundle: Bundle) -> None:
    client = open_client(student_bundle=outer_path)
    assert client.get("/readyz").status_code == 200
    arms = client.get("/models").json()["arms"]
    assert arms["student"]["scorer"] == "native"
    assert "golden and random requests" in arms["student"]["scorer_reason"]
    assert arms["teacher"]["scorer"] == "onnxruntime"
    assert client.metric("ctr_native_scorer_total", result="chosen") == 1
    assert client.metric("ctr_native_scorer_total", result="no_weights") == 1
    assert client.metric("ctr_scorer_info", model="tiny-student@v1", scorer="native") == 1
    body = {key: outer_bundle.example[key] for key in ("context", "items")}
    answer = client.post("/predict", json=body).json()
    assert answer["probabilities"] == pytest.approx(outer_bundle.example["probabilities"], abs=1e-5)


def test_the_setting_keeps_the_service_on_onnxruntime(open_client: OpenClient, outer_path: Path) -> None:
    client = open_client(student_bundle=outer_path, scorer="onnxruntime")
    assert client.get("/models").json()["arms"]["student"]["scorer"] == "onnxruntime"
    assert client.metric("ctr_native_scorer_total", result="not_wanted") == 1


@pytest.fixture
def wrong_path(outer_bundle: Bundle, tmp_path: Path) -> Path:
    assert outer_bundle.weights is not None
    return write_bundle(tmp_path, other_weights(outer_bundle, bias_1=outer_bundle.weights.bias_1 + 1))


def test_wrong_weights_are_counted_and_the_service_is_ready_with_onnxruntime(
    open_client: OpenClient, wrong_path: Path, outer_bundle: Bundle
) -> None:
    client = open_client(student_bundle=wrong_path)
    assert client.get("/readyz").status_code == 200
    student = client.get("/models").json()["arms"]["student"]
    assert student["scorer"] == "onnxruntime"
    assert "off by up to" in student["scorer_reason"]
    assert client.metric("ctr_native_scorer_total", result="refused") == 1
    assert client.metric("ctr_scorer_info", model="tiny-student@v1", scorer="onnxruntime") == 1
    body = {key: outer_bundle.example[key] for key in ("context", "items")}
    answer = client.post("/predict", json=body).json()
    assert answer["probabilities"] == pytest.approx(outer_bundle.example["probabilities"], abs=1e-5)


def test_native_or_nothing_refuses_the_bundle(open_client: OpenClient, wrong_path: Path) -> None:
    client = open_client(student_bundle=wrong_path, scorer="native")
    assert "CTR_SCORER is native" in client.get("/readyz").json()["detail"]
    assert client.metric("ctr_model_loads_total", result="refused", reason="scorer") == 1


def served_without_the_extension(path: Path, wanted: str) -> str:
    command = [sys.executable, "-c", SERVE_WITHOUT_THE_EXTENSION, str(path), wanted]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_without_the_extension_the_service_says_so_and_onnxruntime_answers(outer_path: Path) -> None:
    said = served_without_the_extension(outer_path, "auto")
    assert "onnxruntime answers, not the native scorer: the C extension is not built (no such file)" in said
    assert '"status":"ready"' in said
    assert '"scorer":"onnxruntime","scorer_reason":"the C extension is not built' in said
    assert 'ctr_native_scorer_total{result="not_built"} 1.0' in said


def test_without_the_extension_native_or_nothing_is_not_ready(outer_path: Path) -> None:
    assert "the C extension is not built (no such file); install again" in served_without_the_extension(
        outer_path, "native"
    )


@pytest.mark.parametrize("kind", ["inner_bundle", "outer_bundle"])
def test_weights_read_back_as_they_were_written(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    bundle: Bundle = request.getfixturevalue(kind)
    read = read_bundle(write_bundle(tmp_path, bundle)).weights
    assert read is not None
    assert bundle.weights is not None
    assert read.kind == kind.removesuffix("_bundle")
    assert read.to_bytes() == bundle.weights.to_bytes()


Change = Callable[[Weights], dict[str, Any]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: {"readout_TF": w.readout_TF.astype(np.float64)}, "readout_TF is float64"),
        (lambda w: {"readout_TF": w.readout_TF.ravel()}, "readout_TF is float32 of shape .*, expected .* 2 axes"),
        (lambda _w: {"bias_1": np.float32([np.nan])}, "bias_1 has numbers that are not finite"),
        (lambda w: {"readout_TF": w.readout_TF[:-1]}, "readout_TF has shape"),
        (lambda w: {"p_LFFD": w.p_LFFD[:, :-1]}, "p_LFFD has shape"),
        (lambda w: {"q_LFFD": w.q_LFFD[..., :-1]}, "q_LFFD has shape"),
        (lambda _w: {"bias_1": np.zeros(2, np.float32)}, "bias_1 has shape"),
        (lambda w: {"p_LFFD": w.p_LFFD[:0]}, "p_LFFD is float32 of shape"),
        (lambda w: {"connection_FF": w.connection_FF.T.copy()}, "mixes later fields into earlier ones"),
        (lambda _w: {"connection_FF": np.float32(1)}, "connection_FF is float32 of shape"),
    ],
)
def test_weights_that_do_not_fit_together_are_refused_by_name(outer_bundle: Bundle, change: Change, said: str) -> None:
    assert outer_bundle.weights is not None
    with pytest.raises(BundleError, match=rf"weights\.npz: .*{said}"):
        dataclasses.replace(outer_bundle.weights, **change(outer_bundle.weights))


def test_weights_of_another_bundle_are_not_written(outer_bundle: Bundle, flat_bundle: Bundle, tmp_path: Path) -> None:
    wrong = dataclasses.replace(outer_bundle, weights=flat_bundle.weights)
    with pytest.raises(BundleError, match=r"weights\.npz: for 3 fields and embeddings of length 6, the bundle has 5"):
        write_bundle(tmp_path, wrong)


def test_weights_without_a_table_are_not_written(outer_bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"weights\.npz: there is no embedding\.npy beside it"):
        write_bundle(tmp_path, dataclasses.replace(outer_bundle, embedding=None))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"\x93NUMPY"])
def test_bytes_that_are_no_weights_are_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match=r"weights\.npz: "):
        Weights.from_bytes(content)
