"""Effective FLOPs and parameters of KD-DAGFM's Table 3, WeChat column: m = 264, d = 16, l = 3."""

from typing import Any

import pytest
import torch

from training.models.registry import build

FIELDS, DIMENSION, LAYERS = 264, 16, 3
EDGES = FIELDS * (FIELDS + 1) // 2
PAIRS = FIELDS * (FIELDS - 1) // 2
READOUT = FIELDS * (LAYERS + 1) + 1

LINEAR = 2 * FIELDS + 1
"""A weight per id of the models below, whose fields have two ids each, and a bias."""

# name, options, printed FLOPs (millions), FLOPs as derived, parameters as derived (the DAGFM rows count a dense C)
TABLE_3 = [
    ("fwfm", {}, 1.11, PAIRS * 2 * DIMENSION, LINEAR + PAIRS),
    ("fmfm", {}, 9.44, PAIRS * (DIMENSION**2 + DIMENSION), LINEAR + PAIRS * DIMENSION**2),
    ("crossnet", {"layers": 3}, 53.54, LAYERS * ((FIELDS * DIMENSION) ** 2 + FIELDS * DIMENSION), None),
    ("cin", {"maps": [600] * 3}, 3710.36, DIMENSION * (FIELDS**2 * 600 + 2 * FIELDS * 600**2), None),
    ("dagfm_inner", {"layers": 3, "connect": "dense"}, 3.36, 2 * EDGES * DIMENSION * LAYERS, 1_749_793),
    ("dagfm_outer", {"layers": 3, "connect": "dense"}, 5.04, 3 * EDGES * DIMENSION * LAYERS, 3_428_833),
]

# Interaction functions of Figure 5 that Table 3 does not cost: name, FLOPs, weights of the layers.
FIGURE_5 = [
    ("dagfm_plain", FIELDS * DIMENSION * LAYERS, 0),
    ("dagfm_full", EDGES * (DIMENSION**2 + DIMENSION) * LAYERS, EDGES * DIMENSION**2 * LAYERS),
]


@pytest.mark.parametrize(("name", "options", "printed", "flops", "parameters"), TABLE_3)
def test_effective_flops_are_those_of_table_3(
    name: str, options: dict[str, Any], printed: float, flops: int, parameters: int | None
) -> None:
    """CIN is printed as 3710.57M and derives to 3710.36M; the others round to the printed digits."""
    with torch.device("meta" if name == "cin" else "cpu"):
        model = build(name, {"embedding_size": DIMENSION, **options}, [2] * FIELDS)
    assert model.flops() == flops
    assert round(model.flops() / 1e6, 2) == printed
    if parameters is not None:
        assert model.interaction_parameters() == parameters


def test_cross_layers_have_as_many_parameters_as_multiplications() -> None:
    model = build("crossnet", {"embedding_size": DIMENSION, "layers": 3}, [2] * FIELDS)
    assert model.interaction_parameters() == model.flops() + FIELDS * DIMENSION + 1


def test_cin_has_the_derived_parameters() -> None:
    with torch.device("meta"):
        model = build("cin", {"embedding_size": DIMENSION, "maps": [600] * 3}, [2] * FIELDS)
    assert model.interaction_parameters() == 231_897_600 + 1800 + 1


# Widths that give the printed parameters, the paper gives none: name, options, printed parameters, derived FLOPs.
GUESSED = [
    ("dcnv2", {"layers": 3, "hidden": [4096, 4096]}, 87.63, 87.62),
    ("xdeepfm", {"maps": [600] * 3, "hidden": [4096] * 3}, 282.77, 3761.22),
]


@pytest.mark.parametrize(("name", "options", "parameters", "flops"), GUESSED)
def test_perceptrons_of_4096_units_give_the_printed_parameters(
    name: str, options: dict[str, Any], parameters: float, flops: float
) -> None:
    """DCNV2's printed 87.63M FLOPs have the readout's 4,224 in them, which the row of CrossNet, and we, leave out.
    xDeepFM's are printed as 3761.16M and derive to 3761.22M.
    """
    with torch.device("meta"):  # counted, not made: xDeepFM alone would be a gigabyte
        model = build(name, {"embedding_size": DIMENSION, **options}, [2] * FIELDS)
    linear = 2 * FIELDS if name == "xdeepfm" else 0
    assert round((model.interaction_parameters() - linear) / 1e6, 2) == parameters
    assert round(model.flops() / 1e6, 2) == flops


def test_fwfm_has_the_printed_parameters_apart_from_its_weights_per_id() -> None:
    """0.03M is one weight per pair. A weight per id is left out there like an embedding: it belongs to an id."""
    model = build("fwfm", {"embedding_size": DIMENSION}, [2] * FIELDS)
    assert round((model.interaction_parameters() - LINEAR) / 1e6, 2) == 0.03


def test_fmfms_printed_parameters_are_not_a_matrix_per_pair() -> None:
    """5.99M is printed and unexplained: the printed FLOPs need all P·d² = 8.89M entries of the matrices."""
    model = build("fmfm", {"embedding_size": DIMENSION}, [2] * FIELDS)
    assert round((model.interaction_parameters() - LINEAR) / 1e6, 2) == 8.89
    assert model.flops() == (model.interaction_parameters() - LINEAR) + PAIRS * DIMENSION


@pytest.mark.parametrize(("name", "flops", "weights"), FIGURE_5)
def test_the_other_interaction_functions_cost_what_their_equations_say(name: str, flops: int, weights: int) -> None:
    model = build(name, {"embedding_size": DIMENSION, "layers": LAYERS, "connect": "dense"}, [2] * FIELDS)
    assert model.flops() == flops
    assert model.interaction_parameters() == weights + FIELDS**2 + READOUT


@pytest.mark.parametrize(
    ("name", "propagation", "weights"),
    [("dagfm_plus_inner", 3_358_080, 1_679_040), ("dagfm_plus_outer", 5_037_120, 3_358_080)],
)
def test_a_perceptron_costs_a_student_what_its_widths_say(name: str, propagation: int, weights: int) -> None:
    """Table 5's widths are not given; here one hidden layer of 400 over m·d inputs."""
    options = {"embedding_size": DIMENSION, "layers": LAYERS, "connect": "dense", "hidden": [400]}
    model = build(name, options, [2] * FIELDS)
    perceptron = FIELDS * DIMENSION * 400 + 400
    assert model.flops() == propagation + perceptron
    assert model.interaction_parameters() == weights + FIELDS**2 + perceptron + 401
