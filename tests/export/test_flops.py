"""Executed multiplications, counted from a graph and by hand."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from export.flops import executed_multiplications
from export.forms import serving_forms
from export.graph import to_onnx
from training.models.fgcnn import FGCNN
from training.models.fignn import FiGNN
from training.models.registry import build, example_options

SIZES = [7, 5, 4, 9, 6]
FIELDS, CONTEXT, CANDIDATE, DIMENSION, LAYERS = 5, 3, 2, 4, 3
HIDDEN = [6, 5]


def executed(model_name: str, form: str, rows: int) -> int:
    torch.manual_seed(0)
    hidden = {"hidden": HIDDEN} if "plus" in model_name else {}
    model = build(model_name, {"embedding_size": DIMENSION, "layers": LAYERS, **hidden}, SIZES).eval()
    graph = to_onnx(serving_forms(model, CONTEXT)[form], CONTEXT, CANDIDATE)
    return executed_multiplications(graph, np.zeros((1, CONTEXT), np.int32), rows)


@pytest.mark.parametrize("rows", [1, 10])
def test_a_crossnet_runs_what_its_equation_says_and_its_readout(rows: int) -> None:
    width = FIELDS * DIMENSION
    assert executed("crossnet", "full_rows", rows) == rows * (LAYERS * (width**2 + width) + width)


@pytest.mark.parametrize("rows", [1, 10])
@pytest.mark.parametrize("name", ["dagfm_outer", "dagfm_full"])
def test_a_student_pays_its_context_once_and_its_candidates_n_times(name: str, rows: int) -> None:
    """The last layer's weights of messages, w ⊙ m, are the context's too: x multiplications."""
    c, x = CONTEXT * DIMENSION, CANDIDATE * DIMENSION
    mixing = FIELDS * CONTEXT * DIMENSION
    once = mixing + LAYERS * (c * c + c * x + c) + (LAYERS + 1) * c + x
    each = CANDIDATE**2 * DIMENSION + LAYERS * (x * x + x) + (LAYERS + 1) * x
    assert executed(name, "context_once_dense", rows) == once + rows * each


@pytest.mark.parametrize("rows", [1, 10])
@pytest.mark.parametrize(
    ("name", "form", "per_pair"),
    [("dagfm_outer", "context_once_rank_one", 2), ("dagfm_inner", "context_once_per_dimension", 1)],
)
def test_messages_cost_one_or_two_multiplications_per_pair_of_fields_and_dimension(
    name: str, form: str, per_pair: int, rows: int
) -> None:
    c, x = CONTEXT * DIMENSION, CANDIDATE * DIMENSION
    pairs = per_pair * DIMENSION * LAYERS
    once = FIELDS * CONTEXT * DIMENSION + pairs * CONTEXT * FIELDS + LAYERS * c + (LAYERS + 1) * c + x
    each = CANDIDATE**2 * DIMENSION + pairs * CANDIDATE**2 + LAYERS * x + (LAYERS + 1) * x
    assert executed(name, form, rows) == once + rows * each


@pytest.mark.parametrize("rows", [1, 10])
@pytest.mark.parametrize("name", ["autoint_plus", "fibinet", "graphfm"])
def test_whole_rows_run_what_the_models_equations_say(name: str, rows: int) -> None:
    """Softmax and all: what a model says of itself is what is executed, row by row."""
    torch.manual_seed(0)
    model = build(name, example_options(name), SIZES).eval()
    graph = to_onnx(serving_forms(model, CONTEXT)["full_rows"], CONTEXT, CANDIDATE)
    assert executed_multiplications(graph, np.zeros((1, CONTEXT), np.int32), rows) == rows * model.flops()


def test_fignns_graph_runs_the_edges_from_a_node_to_itself_too_which_weigh_nothing() -> None:
    """Per node the rectifier and the softmax of one edge more, and per step one message more."""
    torch.manual_seed(0)
    model = build("fignn", example_options("fignn"), SIZES).eval()
    assert isinstance(model, FiGNN)
    graph = to_onnx(serving_forms(model, CONTEXT)["full_rows"], CONTEXT, CANDIDATE)
    more = FIELDS * (3 + len(model.steps) * model.attention.width)
    assert executed_multiplications(graph, np.zeros((1, CONTEXT), np.int32), 10) == 10 * (model.flops() + more)


@pytest.mark.parametrize("rows", [1, 10])
def test_prefix_sums_cost_one_multiplication_per_number_and_layer(rows: int) -> None:
    """And one more for the last layer, whose targets are weighted on their way back."""
    c, x = CONTEXT * DIMENSION, CANDIDATE * DIMENSION
    once = FIELDS * CONTEXT * DIMENSION + LAYERS * c + (LAYERS + 1) * c + x
    each = CANDIDATE**2 * DIMENSION + LAYERS * x + x + (LAYERS + 1) * x
    assert executed("dagfm_plain", "context_once_prefix_sums", rows) == once + rows * each


@pytest.mark.parametrize("rows", [1, 10])
@pytest.mark.parametrize(
    ("name", "form", "once_pairs", "each_pairs"),
    [
        ("dagfm_plus_outer", "dense", CONTEXT * FIELDS * DIMENSION**2, CANDIDATE**2 * DIMENSION**2),
        ("dagfm_plus_outer", "rank_one", 2 * CONTEXT * FIELDS * DIMENSION, 2 * CANDIDATE**2 * DIMENSION),
        ("dagfm_plus_inner", "per_dimension", CONTEXT * FIELDS * DIMENSION, CANDIDATE**2 * DIMENSION),
    ],
)
def test_a_perceptron_over_states_pays_for_the_contexts_columns_once(
    name: str, form: str, once_pairs: int, each_pairs: int, rows: int
) -> None:
    """Every layer's messages and ⊙, no readout; then 20-6-5-1, of which the first layer splits."""
    c, x = CONTEXT * DIMENSION, CANDIDATE * DIMENSION
    once = FIELDS * CONTEXT * DIMENSION + LAYERS * (once_pairs + c) + 6 * c
    each = CANDIDATE**2 * DIMENSION + LAYERS * (each_pairs + x) + 6 * x + 6 * 5 + 5
    assert executed(name, f"context_once_{form}", rows) == once + rows * each


@pytest.mark.parametrize(
    ("name", "form", "each_pairs"),
    [("dagfm_plus_outer", "rank_one", 2 * FIELDS**2 * DIMENSION), ("dagfm_plus_inner", "per_dimension", 100)],
)
def test_whole_rows_of_a_perceptron_over_states_pay_for_everything_n_times(
    name: str, form: str, each_pairs: int
) -> None:
    width = FIELDS * DIMENSION
    each = FIELDS**2 * DIMENSION + LAYERS * (each_pairs + width) + width * 6 + 6 * 5 + 5
    assert executed(name, f"folded_rows_{form}", 10) == 10 * each


def test_fgcnns_graph_makes_every_inner_product_twice_and_the_diagonal() -> None:
    torch.manual_seed(0)
    model = build("fgcnn", example_options("fgcnn"), SIZES).eval()
    assert isinstance(model, FGCNN)
    graph = to_onnx(serving_forms(model, CONTEXT)["full_rows"], CONTEXT, CANDIDATE)
    vectors = model.vectors
    more = (vectors**2 - vectors * (vectors - 1) // 2) * model.options.embedding_size
    assert executed_multiplications(graph, np.zeros((1, CONTEXT), np.int32), 10) == 10 * (model.flops() + more)


def counted(
    operator: str,
    *more: np.ndarray,
    shape: tuple[int, ...] = (-1, 4),
    more_outputs: Sequence[str] = (),
    **attributes: object,
) -> int:
    """Multiplications of one operator on twenty numbers, [5, 4] or of the shape given, and on `more`, its constants."""
    inputs = [
        helper.make_tensor_value_info("context_ids", TensorProto.INT32, [1, 1]),
        helper.make_tensor_value_info("candidate_ids", TensorProto.INT32, ["N", 4]),
    ]
    constants = {f"constant_{number}": array for number, array in enumerate(more)}
    nodes = [
        helper.make_node("Cast", ["candidate_ids"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["numbers", "shape"], ["x"]),
        helper.make_node(operator, ["x", *constants], ["logits", *more_outputs], **attributes),
    ]
    held = {"shape": np.array(shape), **constants}
    graph = helper.make_graph(
        nodes,
        "one",
        inputs,
        [helper.make_tensor_value_info("logits", TensorProto.UNDEFINED, None)],
        [numpy_helper.from_array(array, name) for name, array in held.items()],
    )
    graph.output[0].ClearField("type")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return executed_multiplications(model.SerializeToString(), np.zeros((1, 1), np.int32), 5)


@pytest.mark.parametrize(
    "operator", ["Abs", "Relu", "Neg", "Identity", "Clip", "ReduceMax", "ReduceSum", "Max", "Min", "Sum"]
)
def test_additions_comparisons_and_moves_cost_nothing(operator: str) -> None:
    assert counted(operator) == 0


@pytest.mark.parametrize(
    ("operator", "constant"),
    [
        ("Equal", np.zeros(4, np.float32)),
        ("Greater", np.zeros(4, np.float32)),
        ("Less", np.zeros(4, np.float32)),
        ("Pad", np.array([0, 1, 0, 1])),
        ("TopK", np.array([2])),
    ],
)
def test_comparing_padding_and_choosing_cost_nothing(operator: str, constant: np.ndarray) -> None:
    more = {"TopK": ["places"]}.get(operator, [])
    assert counted(operator, constant, more_outputs=more) == 0


@pytest.mark.parametrize("operator", ["Exp", "Log", "Sqrt", "Tanh", "Reciprocal", "LeakyRelu"])
def test_a_value_of_an_elementary_function_counts_as_one(operator: str) -> None:
    assert counted(operator) == 20


def test_a_square_counts_as_one() -> None:
    assert counted("Pow", np.array(2.0, np.float32)) == 20


@pytest.mark.parametrize("operator", ["Sigmoid", "Softmax"])
def test_an_exponential_and_a_division_count_as_two(operator: str) -> None:
    assert counted(operator) == 40


def test_a_mean_counts_its_division() -> None:
    assert counted("ReduceMean", np.array([1])) == 5


def test_layer_normalisation_counts_squares_means_root_divisions_and_scales() -> None:
    assert counted("LayerNormalization", np.ones(4, np.float32)) == 5 * (4 + 2 + 1 + 4 + 4)


def test_a_convolution_counts_its_padding_too() -> None:
    """Three maps of five rows of four numbers, each from three numbers of two maps; pooling them is free."""
    kernels = np.ones((3, 2, 3, 1), np.float32)
    assert counted("Conv", kernels, shape=(5, 2, 2, 1), pads=[1, 0, 1, 0]) == (5 * 3 * 2) * (2 * 3)
    assert counted("MaxPool", shape=(5, 1, 4, 1), kernel_shape=[2, 1]) == 0


def test_an_operator_that_is_not_known_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"operator Erf.*multiplications are unknown"):
        counted("Erf")
