from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from service.bundle import Bundle, BundleError, read_bundle
from service.scoring import OnnxScorer
from service.scoring.onnx_scorer import BLOCK


def test_logits_are_those_of_the_trained_model(bundle: Bundle) -> None:
    """Every golden request, whose logits come from a loop over field pairs in numpy, is met."""
    scorer = OnnxScorer(bundle.model_onnx)
    for request in bundle.golden:
        logits_N = scorer.score(request.context_ids, request.candidate_ids)
        assert logits_N.dtype == np.float32
        np.testing.assert_allclose(logits_N, request.logits, atol=1e-5, rtol=0)


def test_a_candidate_alone_has_the_logit_it_has_in_a_batch(bundle: Bundle) -> None:
    scorer = OnnxScorer(bundle.model_onnx)
    request = bundle.golden.requests[-1]
    batch_N = scorer.score(request.context_ids, request.candidate_ids)
    alone_N = [scorer.score(request.context_ids, row_F[None])[0] for row_F in request.candidate_ids]
    np.testing.assert_allclose(alone_N, batch_N, atol=1e-6, rtol=0)


def test_a_request_of_several_blocks_has_the_logits_of_its_candidates(bundle: Bundle) -> None:
    """The last block is a remainder; a block too many, too few or in another place would show."""
    scorer = OnnxScorer(bundle.model_onnx)
    request = bundle.golden.requests[-1]
    repeats = 2 * BLOCK // len(request.logits) + 1
    logits_N = scorer.score(request.context_ids, np.tile(request.candidate_ids, (repeats, 1)))
    assert len(logits_N) % BLOCK > 0
    np.testing.assert_allclose(logits_N, np.tile(request.logits, repeats), atol=1e-5, rtol=0)


def test_a_model_without_context_fields_takes_an_empty_context(bundles: Path) -> None:
    flat = read_bundle(bundles / "no-context")
    request = flat.golden.requests[-1]
    assert request.context_ids.shape == (1, 0)
    logits_N = OnnxScorer(flat.model_onnx).score(request.context_ids, request.candidate_ids)
    np.testing.assert_allclose(logits_N, request.logits, atol=1e-5, rtol=0)


def test_one_thread_runs_a_batch(bundle: Bundle) -> None:
    """A second or a spinning thread would take the core that HTTP needs."""
    options = OnnxScorer(bundle.model_onnx)._session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert not options.enable_cpu_mem_arena
    assert not options.enable_mem_pattern


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x00" * 100])
def test_bytes_that_are_no_graph_are_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match=r"model\.onnx: onnxruntime refuses it"):
        OnnxScorer(content)


def test_a_cut_graph_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"model\.onnx"):
        OnnxScorer(bundle.model_onnx[: len(bundle.model_onnx) // 2])


def test_another_output_name_is_refused(build_graph: Callable[..., bytes]) -> None:
    nodes = [
        helper.make_node("Cast", ["candidate_ids"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["cast", "axis_1"], ["scores"], keepdims=0),
    ]
    content = build_graph(nodes, {"axis_1": np.array([1])}, 3, output="scores")
    with pytest.raises(BundleError, match=r"outputs are scores: .*, expected logits: tensor.float. of rank 1"):
        OnnxScorer(content)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([("ids", TensorProto.INT32, [None, 3])], "inputs are ids"),
        (
            [("context_ids", TensorProto.INT64, [1, 2]), ("candidate_ids", TensorProto.INT64, [None, 3])],
            r"context_ids: tensor.int64. of rank 2",
        ),
        (
            [("context_ids", TensorProto.INT32, [2]), ("candidate_ids", TensorProto.INT32, [None, 3])],
            "context_ids: tensor.int32. of rank 1",
        ),
    ],
)
def test_other_inputs_are_refused_with_what_was_found(inputs: list, said: str) -> None:
    first = inputs[-1][0]
    graph = helper.make_graph(
        [
            helper.make_node("Cast", [first], ["cast"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["cast", "axis_1"], ["logits"], keepdims=0),
        ],
        "test",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [None])],
        [helper.make_tensor("axis_1", TensorProto.INT64, [1], [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(BundleError, match=said) as caught:
        OnnxScorer(model.SerializeToString())
    assert "candidate_ids: tensor(int32) of rank 2" in str(caught.value).split("expected")[1]
