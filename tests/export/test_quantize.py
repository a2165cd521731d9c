"""Tables in fewer bytes: what is stored, what comes back, and the gate that a worse model does not pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from export.forms import serving_forms
from export.graph import to_onnx
from export.pack import pack
from export.parity import check_parity
from export.quantize import QuantizeError, quality_change, served, store, with_table
from export.weights import table_of
from service.bundle import read_bundle
from service.scoring import OnnxScorer, prove
from training.checkpoint import Trained
from training.data.prepare import Prepared
from training.models.base import CTRModel
from training.models.registry import build, example_options, names

SIZES = [70, 50, 40, 90, 60]
CONTEXT = 3
META = {"phase": "finetune", "config": {"run": {"name": "x"}}, "best_epoch": 0}


def model_of(name: str, sizes: list[int], scale: float = 0.3) -> CTRModel:
    torch.manual_seed(0)
    model = build(name, example_options(name), sizes).eval()
    torch.nn.init.normal_(model.embedding.weight_VD, std=scale)
    return model


@pytest.fixture
def student(prepared: Prepared) -> CTRModel:
    return model_of("dagfm_outer", prepared.encoder.sizes)


def coarse(student: CTRModel) -> CTRModel:
    """One dimension a thousand times the others and the same in all rows: int8 rounds everything else away."""
    with torch.no_grad():
        student.embedding.weight_VD[:, 0] = 300.0
        student.readout.weight.mul_(0.01)  # type: ignore[union-attr, operator] # a DAGFM's
    return student


def test_int8_rows_are_the_nearest_multiples_of_their_own_scale() -> None:
    rows_VD = np.array([[1.27, -0.5, 0.004], [127, 1, -63.6], [0, 0, 0], [-1e-3, 5e-4, 0]], np.float32)
    table = store(rows_VD, "int8")
    assert table.scale_V1 is not None
    np.testing.assert_array_equal(table.rows_VD, [[127, -50, 0], [127, 1, -64], [0, 0, 0], [-127, 64, 0]])
    np.testing.assert_allclose(table.scale_V1[:, 0], [0.01, 1, 0, 1e-3 / 127], rtol=1e-6)
    assert table.nbytes == 4 * 3 + 4 * 4


def test_what_int8_gives_back_is_off_by_half_a_step_at_most() -> None:
    random = np.random.default_rng(0)
    rows_VD = (random.normal(size=(500, 16)) * 10.0 ** random.integers(-6, 4, (500, 1))).astype(np.float32)
    table = store(rows_VD, "int8")
    gap_VD = np.abs(table.embeddings() - rows_VD)
    assert (gap_VD <= table.scale_V1 * 0.5001).all()
    assert gap_VD.max() > 0


@pytest.mark.parametrize("size", [0.0, 1e-45, 1.8e-43, 1e-38, 3e38])
def test_rows_of_zeros_and_of_any_other_size_are_stored(size: float) -> None:
    rows_VD = np.array([[size, -size, size / 2]], np.float32)
    back_VD = store(rows_VD, "int8").embeddings()
    assert np.isfinite(back_VD).all()
    np.testing.assert_allclose(back_VD, rows_VD, rtol=0, atol=size / 100 + 1e-43)


def test_float16_gives_the_nearest_back() -> None:
    rows_VD = np.array([[1 / 3, -65504, 6e-8, 0]], np.float32)
    table = store(rows_VD, "float16")
    np.testing.assert_array_equal(table.embeddings(), rows_VD.astype(np.float16).astype(np.float32))
    assert table.nbytes == 8


def test_a_number_beyond_float16_is_refused_with_its_row() -> None:
    rows_VD = np.array([[1, 2], [3, -70_000], [80_000, 0]], np.float32)
    with pytest.raises(QuantizeError, match=r"2 row\(s\) have numbers beyond ±65504, row 1 first with 70000; .*int8"):
        store(rows_VD, "float16")


def test_another_kind_is_refused_by_name() -> None:
    with pytest.raises(QuantizeError, match="--embedding is 'int4', expected one of float32, float16, int8"):
        store(np.ones((1, 1), np.float32), "int4")


@pytest.mark.parametrize(("name", "stored_as"), [*((name, "int8") for name in names()), ("dagfm_outer", "float16")])
def test_every_form_of_every_model_reads_stored_rows_and_gives_the_models_logits(name: str, stored_as: str) -> None:
    """Only what was gathered is converted: no operator takes the table but Gather."""
    trained = model_of(name, SIZES)
    embedding = store(table_of(trained).rows_VD, stored_as)
    model = with_table(trained, embedding)
    for form_name, form in serving_forms(model, CONTEXT).items():
        content = to_onnx(form, CONTEXT, len(SIZES) - CONTEXT, embedding)
        graph = onnx.load_from_string(content).graph
        assert check_parity(model, OnnxScorer(content, embedding), CONTEXT, form_name) <= 1e-5
        readers = {node.op_type for node in graph.node if set(node.input) & set(embedding.arrays)}
        assert readers == {"Gather"}
        assert all(
            np.prod(t.dims) < trained.embedding.weight_VD.numel() or t.name in embedding.arrays
            for t in graph.initializer
        )


def test_a_stored_table_of_another_type_than_the_graphs_is_refused() -> None:
    """The session itself would take the bytes for what they are not."""
    model = model_of("dagfm_outer", SIZES)
    exact = table_of(model)
    content = to_onnx(serving_forms(model, CONTEXT)["full_rows"], CONTEXT, 2, exact)
    with pytest.raises(ValueError, match=r"refers to .*tensor\(float\).*, the bundle has .*tensor\(int8\)"):
        OnnxScorer(content, store(exact.rows_VD, "int8"))


@pytest.mark.parametrize(("stored_as", "share"), [("float16", 1 / 2), ("int8", 1 / 2)])
def test_a_table_that_passes_is_served_and_the_manifest_says_at_what_cost(
    student: CTRModel, prepared: Prepared, tmp_path: Path, stored_as: str, share: float
) -> None:
    """Four numbers of one byte and a scale of four take as much as four of two."""
    as_served = served(student, prepared, stored_as)
    trained = Trained(model=student, meta=META, digest="a" * 64)
    path = pack(trained, prepared, name="tiny", metrics={}, root=tmp_path, as_served=as_served)
    bundle = read_bundle(path)
    assert bundle.embedding is not None
    assert bundle.embedding.stored_as == stored_as
    stored = bundle.manifest.embedding
    assert stored is not None
    assert (stored.stored_as, stored.bytes_as_float32) == (stored_as, 4 * student.embedding.weight_VD.numel())
    assert stored.bytes == share * stored.bytes_as_float32
    assert (stored.auc_change, stored.log_loss_change) == quality_change(student, as_served.model, prepared)
    assert 0 < abs(stored.log_loss_change) <= 0.0005
    assert prove(OnnxScorer(bundle.model_onnx, bundle.embedding), bundle.golden) <= 1e-5
    session = onnxruntime.InferenceSession(path / "model.onnx", providers=["CPUExecutionProvider"])
    request = bundle.golden.requests[-1]
    feeds = {"context_ids": request.context_ids, "candidate_ids": request.candidate_ids}
    np.testing.assert_allclose(session.run(["logits"], feeds)[0], request.logits, atol=1e-5, rtol=0)
    card = (path / "MODEL_CARD.md").read_text()
    assert f"{stored_as}, {stored.bytes:,} bytes ({stored.bytes_as_float32:,} as float32)" in card
    assert f"{stored.log_loss_change:+.6f}" in card


def test_golden_logits_are_those_of_the_stored_table(student: CTRModel, prepared: Prepared, tmp_path: Path) -> None:
    as_served = served(student, prepared, "int8")
    trained = Trained(model=student, meta=META, digest="a" * 64)
    golden = [
        read_bundle(pack(trained, prepared, name="tiny", metrics={}, root=tmp_path, as_served=each)).golden
        for each in (None, as_served)
    ]
    gaps = [np.abs(one.logits - other.logits).max() for one, other in zip(*golden, strict=True)]
    assert max(gaps) > 1e-5


def test_a_table_that_changes_the_quality_is_refused_with_both_changes(student: CTRModel, prepared: Prepared) -> None:
    model = coarse(student)
    changes = quality_change(model, with_table(model, store(table_of(model).rows_VD, "int8")), prepared)
    assert max(map(abs, changes)) > 0.0005
    said = rf"dagfm_outer with .* as int8: .* AUC changes by \{changes[0]:+.6f} and the log loss by \{changes[1]:+.6f}"
    with pytest.raises(QuantizeError, match=said):
        served(model, prepared, "int8")


def test_float32_is_the_model_itself(student: CTRModel, prepared: Prepared) -> None:
    as_served = served(student, prepared)
    assert as_served.model is student
    assert as_served.stored.bytes == as_served.stored.bytes_as_float32
