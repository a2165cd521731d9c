"""Teachers in ONNX: graphs made with onnx.helper that share nothing with torch, and a bundle of ours."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from service.bundle import Bundle, BundleError, write_bundle
from training.sections import ConfigError
from training.teachers.graph import GraphTeacher

FIELDS = 5
WEIGHTS_F = np.array([0.1, -0.2, 0.3, -0.4, 0.05], np.float32)

Build = Callable[..., Path]


@pytest.fixture
def ids(bundle: Bundle) -> torch.Tensor:
    """Thirty rows with few different contexts."""
    generator = torch.Generator().manual_seed(0)
    columns = [torch.randint(min(size, 4), (30,), generator=generator) for size in bundle.encoder.sizes]
    return torch.stack(columns, dim=1).int()


@pytest.fixture
def save(tmp_path: Path) -> Build:
    """Writes a graph that gives w · ids, or its sigmoid, with these inputs: name → (rows, fields)."""

    def write(
        inputs: dict[str, tuple[object, int]], *, probabilities: bool = False, kind: int = TensorProto.INT64
    ) -> Path:
        names = list(inputs)
        nodes = [helper.make_node("Cast", [name], [f"{name}_float"], to=TensorProto.FLOAT) for name in names]
        weights, first = [], 0
        for name, (_, fields) in inputs.items():
            weights.append(numpy_helper.from_array(WEIGHTS_F[first : first + fields, None], f"{name}_weights"))
            nodes.append(helper.make_node("MatMul", [f"{name}_float", f"{name}_weights"], [f"{name}_sum"]))
            first += fields
        nodes.append(helper.make_node("Sum", [f"{name}_sum" for name in names], ["z"]))
        nodes.append(helper.make_node("Sigmoid" if probabilities else "Identity", ["z"], ["out"]))
        graph = helper.make_graph(
            nodes,
            "teacher",
            [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", 1])],
            weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, tmp_path / "teacher.onnx")
        return tmp_path / "teacher.onnx"

    return write


FORMS = [
    {"ids": ("N", FIELDS)},
    {"context_ids": ("N", 2), "candidate_ids": ("N", 3)},
    {"context_ids": (1, 2), "candidate_ids": ("N", 3)},
]


@pytest.mark.parametrize("inputs", FORMS, ids=["one input", "a context per row", "one context per run"])
@pytest.mark.parametrize("output", ["logits", "probabilities"])
def test_a_graph_gives_a_logit_for_every_row(
    inputs: dict[str, tuple[object, int]], output: str, bundle: Bundle, ids: torch.Tensor, save: Build
) -> None:
    path = save(inputs, probabilities=output == "probabilities")
    teacher = GraphTeacher("t", path, bundle.encoder, "logits" if output == "logits" else "probabilities")
    np.testing.assert_allclose(teacher.score(ids).numpy(), ids.numpy() @ WEIGHTS_F, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(teacher.score(ids[:1]).numpy(), ids[:1].numpy() @ WEIGHTS_F, rtol=1e-4, atol=1e-6)


def test_a_bundle_gives_the_logits_that_it_proves_itself_with(bundle: Bundle, bundles: Path) -> None:
    teacher = GraphTeacher("t", bundles / "student", bundle.encoder)
    for golden in bundle.golden.requests:
        context_NF = np.repeat(golden.context_ids, len(golden.candidate_ids), axis=0)
        rows = torch.from_numpy(np.concatenate([context_NF, golden.candidate_ids], axis=1))
        np.testing.assert_allclose(teacher.score(rows).numpy(), golden.logits, rtol=1e-4, atol=1e-5)


def test_a_file_of_a_bundle_is_the_bundle(bundle: Bundle, bundles: Path) -> None:
    version = next((bundles / "student").glob("*/model.onnx"))
    by_file, by_root = (GraphTeacher("t", path, bundle.encoder) for path in (version, bundles / "student"))
    assert by_file.digest == by_root.digest
    assert GraphTeacher("t", bundles / "teacher", bundle.encoder).digest != by_root.digest


def test_a_graph_of_another_schema_is_refused_with_both_digests(bundle: Bundle, bundles: Path, save: Build) -> None:
    path = save(FORMS[0])
    model = onnx.load(path)
    helper.set_model_props(model, {"schema_digest": "f" * 64})
    onnx.save(model, path)
    with pytest.raises(ConfigError, match=f"schema {'f' * 64}, the data have schema {bundle.schema.digest}"):
        GraphTeacher("t", path, bundle.encoder)
    with pytest.raises(ConfigError, match=f"the data have schema {bundle.schema.digest}"):
        GraphTeacher("t", bundles / "no-context", bundle.encoder)


def test_a_bundle_of_other_vocabularies_is_refused_with_both_digests(bundle: Bundle, tmp_path: Path) -> None:
    write_bundle(tmp_path / "other", bundle)
    vocabularies = dict(bundle.encoder.vocabularies)
    vocabularies["category"] = type(vocabularies["category"])(("games", "music"))
    encoder = type(bundle.encoder)(bundle.schema, vocabularies)
    with pytest.raises(
        ConfigError, match=r"made for vocabularies [0-9a-f]{64}, the data have vocabularies [0-9a-f]{64}"
    ):
        GraphTeacher("t", tmp_path / "other", encoder)


def test_logits_said_to_be_probabilities_are_refused(bundle: Bundle, ids: torch.Tensor, save: Build) -> None:
    teacher = GraphTeacher("t", save(FORMS[0]), bundle.encoder, "probabilities")
    with pytest.raises(ConfigError, match=r"probabilities from -\d.*strictly between 0 and 1"):
        teacher.score(ids)


@pytest.mark.parametrize("inputs", [{"ids": ("N", 4)}, {"context_ids": (1, 3), "candidate_ids": ("N", 2)}])
def test_other_inputs_are_refused_with_those_expected(
    inputs: dict[str, tuple[object, int]], bundle: Bundle, save: Build
) -> None:
    with pytest.raises(ConfigError, match=r"expected int32 or int64 context_ids \[1 or N, 2\] and candidate_ids"):
        GraphTeacher("t", save(inputs), bundle.encoder)


def test_what_is_no_graph_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(ConfigError, match="onnxruntime refuses"):
        GraphTeacher("t", tmp_path / "broken.onnx", bundle.encoder)
    with pytest.raises(ConfigError, match="No such file"):
        GraphTeacher("t", tmp_path / "nowhere.onnx", bundle.encoder)
    with pytest.raises(BundleError, match=r"neither CURRENT nor manifest\.json"):
        GraphTeacher("t", tmp_path, bundle.encoder)


def test_changed_weights_are_another_teacher(bundle: Bundle, save: Build) -> None:
    path = save(FORMS[0])
    before = GraphTeacher("t", path, bundle.encoder).digest
    model = onnx.load(path)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(2 * WEIGHTS_F[:, None], "ids_weights"))
    onnx.save(model, path)
    assert GraphTeacher("t", path, bundle.encoder).digest != before
    assert (
        GraphTeacher("t", path, bundle.encoder, "probabilities").digest
        != GraphTeacher("t", path, bundle.encoder).digest
    )
