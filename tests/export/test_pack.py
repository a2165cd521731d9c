"""A registered model → a verified bundle, whatever its name."""

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from export import timing
from export.__main__ import comparison
from export.flops import executed_multiplications
from export.forms import FullRows
from export.graph import to_onnx
from export.pack import export_model, pack
from export.parity import ParityError, check_parity, model_logits
from export.weights import weights_of
from service.bundle import read_bundle
from service.scoring import NativeScorer, OnnxScorer, prove
from service.scoring.choice import choose_scorer
from training.checkpoint import Trained
from training.data.prepare import Prepared
from training.models.base import CTRModel
from training.models.registry import build, example_options, names

SIZES = [7, 5, 4, 9, 6]
CONTEXT_FIELDS = 3
META = {"phase": "finetune", "config": {"run": {"name": "x"}}, "best_epoch": 0}
CONTEXT_OF_7 = np.zeros((1, 7), np.int32)


def model_of(name: str, sizes: list[int]) -> CTRModel:
    torch.manual_seed(3)
    model = build(name, example_options(name), sizes).eval()
    torch.nn.init.normal_(model.embedding.weight_VD, std=0.5)
    return model


@pytest.mark.parametrize("name", names())
def test_every_registered_model_exports_with_the_one_signature_and_the_models_logits(name: str) -> None:
    exported = export_model(model_of(name, SIZES), CONTEXT_FIELDS)
    graph = onnx.load_from_string(exported.model_onnx).graph
    assert [value.name for value in graph.input] == ["context_ids", "candidate_ids", "embedding.npy"]
    assert [value.name for value in graph.output] == ["logits"]
    assert exported.gap <= 1e-5
    assert exported.graph.form in exported.graph.timings_us
    assert all(set(times) == {"1", "50", "200", "1000"} for times in exported.graph.timings_us.values())


@pytest.mark.parametrize("name", names())
def test_a_model_without_context_fields_exports_too(name: str) -> None:
    """Criteo's columns have no roles: every field is a candidate field and context_ids is [1, 0]."""
    model = model_of(name, SIZES)
    scorer = OnnxScorer(to_onnx(FullRows(model), 0, len(SIZES)))
    assert check_parity(model, scorer, 0, "full_rows") <= 1e-5


@pytest.mark.parametrize(("name", "options"), [("cin", {}), ("xdeepfm", {"hidden": [3]})])
def test_maps_of_equal_number_are_not_taken_for_one_another(name: str, options: dict[str, Any]) -> None:
    """A vector times a square cuboid, too large to be folded: a rewritten export contracted another axis as long."""
    torch.manual_seed(0)
    model = build(name, {"embedding_size": 4, "maps": [64, 64], **options}, SIZES).eval()
    scorer = OnnxScorer(to_onnx(FullRows(model), CONTEXT_FIELDS, len(SIZES) - CONTEXT_FIELDS))
    assert check_parity(model, scorer, CONTEXT_FIELDS, "full_rows") <= 1e-5


def test_a_graph_of_other_weights_is_refused_with_form_n_and_gap() -> None:
    model, other = model_of("crossnet", SIZES), model_of("crossnet", SIZES)
    with torch.no_grad():
        other.embedding.weight_VD += 0.1
    scorer = OnnxScorer(to_onnx(FullRows(other), CONTEXT_FIELDS, len(SIZES) - CONTEXT_FIELDS))
    with pytest.raises(ParityError, match=r"form 'full_rows', N = 1: largest gap to torch is"):
        check_parity(model, scorer, CONTEXT_FIELDS, "full_rows")


def test_a_form_that_is_clearly_faster_for_one_candidate_is_exported_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """With any saving enough, there are always two graphs; both give the model's logits."""
    monkeypatch.setattr(timing, "MARGIN", -10)
    model = model_of("crossnet", SIZES)
    exported = export_model(model, CONTEXT_FIELDS)
    assert exported.model_small_onnx is not None
    assert exported.graph.small_form in exported.graph.timings_us
    assert 1 <= exported.graph.small_up_to < 200
    scorer = OnnxScorer(exported.model_small_onnx, exported.embedding)
    assert check_parity(model, scorer, CONTEXT_FIELDS, "small") <= 1e-5
    monkeypatch.setattr(timing, "MARGIN", 1)
    exported = export_model(model, CONTEXT_FIELDS)
    assert (exported.model_small_onnx, exported.graph.small_form, exported.graph.small_up_to) == (None, "", 0)


@pytest.fixture(scope="module")
def trained(prepared: Prepared) -> Trained:
    model = model_of("dagfm_outer", prepared.encoder.sizes)
    return Trained(model=model, meta={**META, "distilled": "d" * 64}, digest="a" * 64)


@pytest.fixture(scope="module")
def bundle_path(trained: Trained, prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("packed") / "bundles"
    return pack(trained, prepared, name="tiny", metrics={"test_auc": 0.5}, root=root)


def test_a_packed_bundle_reads_back_and_proves_itself(bundle_path: Path) -> None:
    bundle = read_bundle(bundle_path.parent)
    assert prove(OnnxScorer(bundle.model_onnx, bundle.embedding), bundle.golden) <= 1e-5
    assert sorted({len(request.logits) for request in bundle.golden}) == [1, 2, 7, 50, 257]


def test_the_manifest_says_what_the_model_is_and_costs(bundle_path: Path, trained: Trained) -> None:
    manifest = read_bundle(bundle_path).manifest
    assert manifest.parameters == trained.model.parameter_count()
    assert manifest.flops.effective == trained.model.flops()
    assert manifest.flops.candidates == 200
    bundle = read_bundle(bundle_path)
    graph, table = bundle.model_onnx, bundle.embedding
    counted = [executed_multiplications(graph, CONTEXT_OF_7, rows, table) for rows in (1, 7, 200)]
    assert [manifest.flops.of_request(rows) for rows in (1, 7, 200)] == pytest.approx(counted)
    assert manifest.lineage["checkpoint"] == trained.digest
    assert manifest.lineage["distilled"] == "d" * 64
    assert manifest.metrics["test_auc"] == 0.5


def test_the_examples_probabilities_are_the_trained_models(bundle_path: Path, trained: Trained) -> None:
    bundle = read_bundle(bundle_path)
    example = bundle.example
    context_ids = bundle.encoder.encode_context(example["context"])
    candidate_ids = bundle.encoder.encode(bundle.schema.candidate, example["candidates"])
    expected = 1 / (1 + np.exp(-model_logits(trained.model, context_ids, candidate_ids).astype(float)))
    np.testing.assert_allclose(example["probabilities"], expected, atol=1e-6)


def test_the_model_card_carries_the_manifests_numbers(bundle_path: Path) -> None:
    card = (bundle_path / "MODEL_CARD.md").read_text()
    manifest = json.loads((bundle_path / "manifest.json").read_text())
    assert f"tiny@{manifest['version']}" in card
    assert f"{manifest['parameters']:,}" in card
    assert "| test_auc | 0.50000 |" in card


def test_the_comparison_divides_student_by_teacher(bundle_path: Path) -> None:
    manifest = read_bundle(bundle_path).manifest
    described = manifest.to_json()
    scores = {"test_auc": 0.8, "test_log_loss": 0.3, "test_calibration": 1.0}
    student = {**described, "metrics": scores, "parameters": 30}
    teacher = {**described, "metrics": {**scores, "test_auc": 0.64}, "parameters": 120}
    table = comparison({"student": type(manifest).from_json(student), "teacher": type(manifest).from_json(teacher)})
    ratios = dict(zip(table.columns[0].cells, table.columns[3].cells, strict=True))
    assert ratios["test AUC"] == "1.250"
    assert ratios["parameters"] == "0.250"
    assert ratios["test log loss"] == "1.000"


def test_what_a_teacher_has_none_of_has_no_ratio(bundle_path: Path) -> None:
    """Logistic regression multiplies nothing."""
    manifest = read_bundle(bundle_path).manifest
    scores = {"test_auc": 0.8, "test_log_loss": 0.3, "test_calibration": 1.0}
    student = dataclasses.replace(manifest, metrics=scores)
    flops = dataclasses.replace(manifest.flops, effective=0, executed=0, once=0)
    table = comparison({"student": student, "teacher": dataclasses.replace(student, flops=flops)})
    ratios = dict(zip(table.columns[0].cells, table.columns[3].cells, strict=True))
    assert ratios["FLOPs per candidate, effective"] == "-"
    assert ratios["parameters"] == "1.000"


@pytest.mark.parametrize("name", names())
def test_the_students_that_the_native_scorer_knows_have_weights_and_no_other_model(name: str) -> None:
    weights = weights_of(model_of(name, SIZES))
    assert (weights is not None) == (name in {"dagfm_inner", "dagfm_outer"})
    assert weights is None or weights.kind == name.removeprefix("dagfm_")


def test_a_dense_student_has_no_weights() -> None:
    """Its context depends on the candidates."""
    dense = build("dagfm_outer", {"embedding_size": 4, "layers": 2, "connect": "dense"}, SIZES)
    assert weights_of(dense) is None


def test_a_student_that_the_native_scorer_does_not_know_is_scored_by_onnxruntime(
    prepared: Prepared, tmp_path: Path
) -> None:
    """Even where nothing but the native scorer is wanted: it is offered no weights."""
    trained = Trained(model=model_of("dagfm_full", prepared.encoder.sizes), meta=META, digest="a" * 64)
    bundle = read_bundle(pack(trained, prepared, name="full", metrics={}, root=tmp_path / "bundles"))
    reference = OnnxScorer(bundle.model_onnx, bundle.embedding)
    choice = choose_scorer(reference, bundle, "native")
    assert (choice.scorer, choice.result) == (reference, "no_weights")
    assert choice.reason == "the bundle has no weights.npz: a dagfm_full runs as a graph"


def test_the_weights_of_a_packed_bundle_score_as_the_model_does(bundle_path: Path) -> None:
    bundle = read_bundle(bundle_path)
    assert bundle.weights is not None
    assert bundle.embedding is not None
    scorer = NativeScorer(bundle.weights, bundle.embedding, bundle.encoder.sizes, len(bundle.schema.context))
    assert prove(scorer, bundle.golden) <= 1e-5


def test_weights_belong_to_the_version(trained: Trained, prepared: Prepared, tmp_path: Path) -> None:
    """Else a bundle exported before there were weights would stay without them."""
    paths, trained = [], copy.deepcopy(trained)
    for bias in (0.0, 1.0):
        with torch.no_grad():
            trained.model.readout.bias.fill_(bias)  # type: ignore[operator, union-attr] # a DAGFM's readout
        paths.append(pack(trained, prepared, name="tiny", metrics={}, root=tmp_path / "bundles"))
    assert read_bundle(paths[0]).manifest.files["weights.npz"] != read_bundle(paths[1]).manifest.files["weights.npz"]
    assert paths[0] != paths[1]
