from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.bundle import Buckets, BundleError, Category
from service.bundle.numeric import TRANSFORMS, NumericRule, floor, log_squared, numeric_rule_from_json

finite = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, 0),
        (1, 1),
        (2, 2),  # at 2, not above
        (2.5, 2),  # ln² = 0.84
        (2.7, 2),  # ln² = 0.99
        (2.8, 3),  # ln² = 1.06
        (3, 3),  # ln² = 1.21
        (100, 23),  # ln² = 21.21
        (-1, -1),
        (0.5, 0),
        (-0.5, -1),
        (1.99, 1),
    ],
)
def test_log_squared_is_the_published_formula(number: float, expected: int) -> None:
    """ceil(ln² + 1) above 2, the integer part below, worked out by hand."""
    assert log_squared(number) == expected


@given(finite, finite)
def test_log_squared_never_decreases(one: float, other: float) -> None:
    assert log_squared(min(one, other)) <= log_squared(max(one, other))


@given(finite)
def test_log_squared_of_a_whole_float_is_that_of_the_integer(number: float) -> None:
    whole = float(math.floor(number))
    assert log_squared(whole) == log_squared(int(whole))


@given(finite)
def test_floor_is_the_largest_integer_not_above(number: float) -> None:
    assert floor(number) <= number < floor(number) + 1


def test_published_transforms_keep_their_names() -> None:
    assert TRANSFORMS["log_squared"] is log_squared
    assert TRANSFORMS["floor"] is floor


def test_a_transform_without_a_name_here_is_refused() -> None:
    with pytest.raises(BundleError, match=r"got 'cubed', expected one of \['floor', 'log_squared'\]"):
        Category("cubed")


@pytest.mark.parametrize("edges", [(), (math.nan,), (1.0, math.inf), (-math.inf,)])
def test_edges_that_are_none_or_not_finite_are_refused(edges: tuple[float, ...]) -> None:
    with pytest.raises(BundleError, match="finite and at least one"):
        Buckets(edges)


@pytest.mark.parametrize("edges", [(1.0, 1.0), (2.0, 1.0), (0.0, 5.0, 4.0)])
def test_edges_that_do_not_ascend_are_refused(edges: tuple[float, ...]) -> None:
    with pytest.raises(BundleError, match="ascend strictly"):
        Buckets(edges)


@pytest.mark.parametrize("rule", [Category("floor"), Category("log_squared"), Buckets((-1.5, 0.0, 1e300))])
def test_a_rule_survives_the_trip_through_json(rule: NumericRule) -> None:
    assert numeric_rule_from_json(json.loads(json.dumps(rule.to_json()))) == rule


@pytest.mark.parametrize(
    "described",
    [
        {},
        {"rule": "category"},
        {"rule": "buckets", "edges": "1,2"},
        {"rule": "spline"},
        {"rule": "category", "transform": 1},
    ],
    ids=str,
)
def test_an_unknown_rule_is_refused(described: dict[str, Any]) -> None:
    with pytest.raises(BundleError, match="expected rule 'category' or 'buckets'"):
        numeric_rule_from_json(described)
