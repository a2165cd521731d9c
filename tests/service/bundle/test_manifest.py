from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest

from service.bundle import BundleError, Calibration, Manifest, StoredTable

TOP = [
    "name", "version", "architecture", "schema_digest", "parameters", "flops", "graph", "calibration", "metrics",
    "lineage", "embedding", "files", "format_version",
]  # fmt: skip
PARTS = {
    "flops": ["effective", "executed", "candidates", "once"],
    "graph": ["form", "opset", "timings_us", "small_form", "small_up_to"],
    "calibration": ["slope", "intercept"],
    "embedding": ["stored_as", "bytes", "bytes_as_float32", "auc_change", "log_loss_change"],
}
INNER = [(part, key) for part, keys in PARTS.items() for key in keys]


@pytest.fixture
def described(manifest: Manifest) -> dict[str, Any]:
    """The manifest as JSON, for a test to damage."""
    return copy.deepcopy(manifest.to_json())


def test_a_manifest_survives_the_trip_through_json(manifest: Manifest) -> None:
    assert Manifest.from_json(json.loads(json.dumps(manifest.to_json()))) == manifest


def test_a_model_is_named_with_its_version(manifest: Manifest) -> None:
    assert manifest.model == "tiny@v1"


def test_the_keys_are_those_published(described: dict[str, Any]) -> None:
    """A key added or renamed needs another format_version."""
    assert sorted(described) == sorted(TOP)
    assert {part: sorted(described[part]) for part in PARTS} == {part: sorted(keys) for part, keys in PARTS.items()}


@pytest.mark.parametrize("key", TOP)
def test_a_missing_key_is_refused(described: dict[str, Any], key: str) -> None:
    del described[key]
    with pytest.raises(BundleError, match=r"^manifest\.json: .*expected"):
        Manifest.from_json(described)


@pytest.mark.parametrize(("part", "key"), INNER)
def test_a_missing_key_of_a_part_is_refused(described: dict[str, Any], part: str, key: str) -> None:
    del described[part][key]
    with pytest.raises(BundleError, match=rf"^manifest\.json: {part} has .*expected the keys"):
        Manifest.from_json(described)


@pytest.mark.parametrize(("form", "up_to"), [("rows", 0), ("", 5), ("rows", -1)])
def test_a_small_form_and_the_size_it_answers_belong_together(described: dict[str, Any], form: str, up_to: int) -> None:
    described["graph"] |= {"small_form": form, "small_up_to": up_to}
    with pytest.raises(BundleError, match=r"^manifest\.json: graph\.small_form is .*expected a form and at least 1"):
        Manifest.from_json(described)


@pytest.mark.parametrize("part", [None, *PARTS])
def test_an_unknown_key_is_refused(described: dict[str, Any], part: str | None) -> None:
    (described[part] if part else described)["threads"] = 4
    with pytest.raises(BundleError, match=rf"{part or 'manifest'} has .*'threads'.*expected the keys"):
        Manifest.from_json(described)


WRONG = [
    (key, wrong) for key in TOP[:-1] for wrong in (None, True, [1], 1j) if (key, wrong) != ("embedding", None)
]  # fmt: skip


@pytest.mark.parametrize(("key", "wrong"), WRONG, ids=repr)
def test_a_value_of_a_wrong_type_is_refused(described: dict[str, Any], key: str, wrong: Any) -> None:
    described[key] = wrong
    with pytest.raises(BundleError, match=rf"manifest\.json: .*{key}"):
        Manifest.from_json(described)


@pytest.mark.parametrize(("part", "key"), INNER)
@pytest.mark.parametrize("wrong", [None, True, [1]], ids=repr)
def test_a_value_of_a_wrong_type_in_a_part_is_refused(
    described: dict[str, Any], part: str, key: str, wrong: Any
) -> None:
    described[part][key] = wrong
    with pytest.raises(BundleError, match=rf"manifest\.json: {part}\.{key} is {wrong!r}".replace("[", r"\[")):
        Manifest.from_json(described)


def test_a_graph_that_holds_its_table_has_none_to_describe(described: dict[str, Any]) -> None:
    described["embedding"] = None
    assert Manifest.from_json(described).embedding is None


@pytest.mark.parametrize(
    "wrong", [{"stored_as": "int4"}, {"auc_change": math.nan}, {"log_loss_change": math.inf}], ids=repr
)
def test_a_table_stored_in_no_known_way_or_at_no_finite_cost_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BundleError, match=r"manifest\.json: StoredTable.*expected one of .*export again"):
        StoredTable(**{"stored_as": "int8", "bytes": 1, "bytes_as_float32": 4, **wrong})


def test_a_whole_number_is_taken_where_a_real_one_is_meant_but_not_the_reverse(described: dict[str, Any]) -> None:
    described["flops"]["effective"] = 10
    assert Manifest.from_json(described).flops.effective == 10
    described["parameters"] = 7.0
    with pytest.raises(BundleError, match=r"manifest\.parameters is 7\.0, expected int"):
        Manifest.from_json(described)


@pytest.mark.parametrize("version", [0, 1, 2, 3, 5, "4", None, True])
def test_another_format_version_is_refused(described: dict[str, Any], version: Any) -> None:
    described["format_version"] = version
    with pytest.raises(BundleError, match="format_version is"):
        Manifest.from_json(described)


@pytest.mark.parametrize("described", [None, [], "manifest", 1], ids=repr)
def test_a_manifest_that_is_no_object_is_refused(described: Any) -> None:
    with pytest.raises(BundleError, match=r"^manifest\.json"):
        Manifest.from_json(described)


@pytest.mark.parametrize("key", ["name", "version"])
@pytest.mark.parametrize("wrong", ["", "..", "../v1", "a/b", ".hidden", "V1", "v 1", "v1\n", "é", "x" * 65], ids=repr)
def test_a_name_that_could_not_stand_in_a_path_is_refused(described: dict[str, Any], key: str, wrong: str) -> None:
    described[key] = wrong
    with pytest.raises(BundleError, match=f"{key} is"):
        Manifest.from_json(described)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("key", ["slope", "intercept"])
def test_a_calibration_that_is_not_finite_is_refused(key: str, wrong: float) -> None:
    """It would turn every probability into NaN, 0 or 1."""
    with pytest.raises(BundleError, match=r"manifest\.json: calibration"):
        Calibration(**{key: wrong})
