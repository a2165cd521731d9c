from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.bundle import BundleError, Catalogue, Encoder, encoder_files, json_bytes, read_encoder_files

ITEMS = ["lamp", "42", "été 日本"]
IDS_IF = np.array([[2, 2], [3, 1], [4, 0]], np.int32)


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.fixture
def files(encoder: Encoder) -> dict[str, bytes]:
    """Whole files, for a test to damage."""
    return encoder_files(encoder, Catalogue(ITEMS, IDS_IF))


def test_an_encoder_reads_back_as_it_was(encoder: Encoder, files: dict[str, bytes]) -> None:
    back, catalogue = read_encoder_files(files)
    assert back.schema == encoder.schema
    assert back.vocabularies == encoder.vocabularies
    assert catalogue is not None
    assert catalogue.items == tuple(ITEMS)
    np.testing.assert_array_equal(catalogue.candidate_ids_IF, IDS_IF, strict=True)


def test_an_encoder_without_items_has_two_files(encoder: Encoder) -> None:
    files = encoder_files(encoder, None)
    assert sorted(files) == ["schema.json", "vocabulary.json"]
    assert read_encoder_files(files)[1] is None


def test_a_catalogue_may_be_empty(encoder: Encoder) -> None:
    files = encoder_files(encoder, Catalogue([], np.empty((0, 2), np.int32)))
    catalogue = read_encoder_files(files)[1]
    assert catalogue is not None
    assert len(catalogue) == 0


@example(["lamp\0"])
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), unique=True, max_size=5))
def test_any_item_id_is_read_back_or_refused_when_written(encoder: Encoder, items: list[str]) -> None:
    catalogue = Catalogue(items, np.zeros((len(items), 2), np.int32))
    if any(item.endswith("\0") for item in items):
        with pytest.raises(BundleError, match=r"^catalogue\.npz: .*NUL"):
            encoder_files(encoder, catalogue)
    else:
        back = read_encoder_files(encoder_files(encoder, catalogue))[1]
        assert back is not None
        assert back.items == tuple(items)


def test_the_same_encoder_gives_the_same_bytes(encoder: Encoder, files: dict[str, bytes]) -> None:
    assert encoder_files(encoder, Catalogue(ITEMS, IDS_IF)) == files


@pytest.mark.parametrize(
    "arrays",
    [
        {"candidate_ids_IF": IDS_IF + np.int32(1)},
        {"candidate_ids_IF": IDS_IF - np.int32(1)},
        {"candidate_ids_IF": IDS_IF[:, :1]},
        {"candidate_ids_IF": np.concatenate([IDS_IF, IDS_IF], axis=1)},
        {"candidate_ids_IF": IDS_IF[:2]},
        {"candidate_ids_IF": IDS_IF[0]},
        {"candidate_ids_IF": IDS_IF + 0.5},
        {"candidate_ids_IF": IDS_IF * np.nan},
        {"candidate_ids_IF": IDS_IF.astype(np.int64) + 2**32},
        {"candidate_ids_IF": IDS_IF.astype(object)},
        {"candidate_ids_IF": IDS_IF.astype(str)},
        {"items": np.array(["lamp", "42", "lamp"])},
        {"items": np.array([1, 2, 3])},
        {"items": np.array([[item] for item in ITEMS])},
        {"items": np.array("lamp")},
        {"items": np.array(ITEMS, object)},
    ],
    ids=lambda arrays: next(f"{key} {value.dtype} {value.tolist()}" for key, value in arrays.items()),
)
def test_a_catalogue_that_does_not_fit_is_refused(files: dict[str, bytes], arrays: dict[str, Any]) -> None:
    files["catalogue.npz"] = npz(**{"items": np.array(ITEMS), "candidate_ids_IF": IDS_IF, **arrays})
    with pytest.raises(BundleError, match=r"^catalogue"):
        read_encoder_files(files)


@pytest.mark.parametrize("content", [b"", b"PK", npz(items=np.array(ITEMS)), npz(candidate_ids_IF=IDS_IF)], ids=len)
def test_a_catalogue_that_is_none_is_refused(files: dict[str, bytes], content: bytes) -> None:
    files["catalogue.npz"] = content
    with pytest.raises(BundleError, match=r"^catalogue\.npz: not readable"):
        read_encoder_files(files)


@pytest.mark.parametrize("values", [None, 5, "lamp", {"lamp": 2}], ids=repr)
def test_a_vocabulary_that_is_no_list_is_refused(files: dict[str, bytes], values: Any) -> None:
    files["vocabulary.json"] = json_bytes({**json.loads(files["vocabulary.json"]), "item": values})
    with pytest.raises(BundleError, match=r"^vocabulary\.json: 'item' is a "):
        read_encoder_files(files)


@pytest.mark.parametrize("values", [["a", "a"], ["a", ""], ["a", 5], ["a", None], ["a", ["b"]]], ids=repr)
def test_a_vocabulary_of_bad_values_is_refused_by_field(files: dict[str, bytes], values: list[Any]) -> None:
    files["vocabulary.json"] = json_bytes({**json.loads(files["vocabulary.json"]), "item": values})
    with pytest.raises(BundleError, match=r"^vocabulary\.json: 'item': "):
        read_encoder_files(files)


def test_a_vocabulary_too_many_or_too_few_is_refused(files: dict[str, bytes]) -> None:
    vocabularies = json.loads(files["vocabulary.json"])
    files["vocabulary.json"] = json_bytes({**vocabularies, "hour": ["1"]})
    with pytest.raises(BundleError, match="the schema needs"):
        read_encoder_files(files)
    del vocabularies["user"]
    files["vocabulary.json"] = json_bytes(vocabularies)
    with pytest.raises(BundleError, match="the schema needs"):
        read_encoder_files(files)


@pytest.mark.parametrize("name", ["schema.json", "vocabulary.json"])
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe\x00", b"[" * 100_000, b'{"item": NaN}', b'{"a": -Infinity}'],
    ids=lambda content: repr(content[:20]),
)
def test_json_that_is_none_or_no_object_is_refused(files: dict[str, bytes], name: str, content: bytes) -> None:
    files[name] = content
    with pytest.raises(BundleError, match=rf"^{name}: (not JSON|got a JSON)"):
        read_encoder_files(files)


def test_numbers_that_are_not_finite_are_not_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_bytes({"auc": float("nan")})
