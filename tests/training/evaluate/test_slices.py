import shutil
from pathlib import Path

import numpy as np
import pytest

from training.config import ConfigError
from training.data.prepare import Prepared, open_prepared
from training.evaluate.slices import WARM_FROM, Slicing, slices, value_names
from training.run import Run


@pytest.fixture
def prepared(trained: Run) -> Prepared:
    return open_prepared(trained.directory / "data")


def test_the_largest_values_have_a_slice_each_and_the_rest_share_one(prepared: Prepared) -> None:
    found = list(slices(Slicing("category"), prepared, "validation", 4))
    column = prepared.column("validation", "category")
    sizes = sorted(np.bincount(column), reverse=True)
    assert [int(mask.sum()) for _, mask in found[:4]] == sizes[:4]
    assert found[4][0] == f"the other {np.count_nonzero(sizes) - 4}"
    assert np.sum([mask for _, mask in found], axis=0).tolist() == [1] * len(column)


def test_without_a_rest_there_is_no_slice_for_it(prepared: Prepared) -> None:
    names = [name for name, _ in slices(Slicing("gender"), prepared, "validation", 12)]
    assert sorted(names) == ["female", "male", "missing"]


def test_buckets_stand_in_their_order_and_are_named_by_their_bounds(prepared: Prepared) -> None:
    names = [name for name, _ in slices(Slicing("days_since_listed"), prepared, "validation", 12)]
    bounds = ["under 1", "1 to 3", "3 to 7", "7 to 14", "14 to 30", "30 to 90", "90 and more"]
    assert names == [name for name in bounds if name in names]
    assert len(names) >= 5


@pytest.mark.parametrize("field", ["age", "price", "days_since_signup"])
def test_every_id_has_a_name(prepared: Prepared, field: str) -> None:
    names = value_names(prepared.encoder, field)
    sizes = dict(zip((known.name for known in prepared.encoder.schema.fields), prepared.encoder.sizes, strict=True))
    assert len(names) == sizes[field]
    assert names[:2] == ["missing", "unknown"]


def test_a_bucket_is_named_by_what_falls_into_it(prepared: Prepared) -> None:
    names = value_names(prepared.encoder, "days_since_listed")
    encoded = prepared.encoder.encode_column("days_since_listed", [0, 1, 2.9, 89, 90, None])
    assert [names[id_] for id_ in encoded] == ["under 1", "1 to 3", "1 to 3", "30 to 90", "90 and more", "missing"]


def test_rows_are_cold_rare_or_warm_by_the_training_rows_of_their_value(prepared: Prepared) -> None:
    found = dict(slices(Slicing("user_id", seen=True), prepared, "validation", 12))
    users, training = prepared.column("validation", "user_id"), prepared.column("train", "user_id")
    seen = np.array([(training == user).sum() if user > 1 else 0 for user in users])
    by_first_word = {name.partition(":")[0]: mask for name, mask in found.items()}
    assert by_first_word["warm"].tolist() == (seen >= WARM_FROM).tolist()
    assert by_first_word["rare"].tolist() == ((seen > 0) & (seen < WARM_FROM)).tolist()
    assert np.sum(list(found.values()), axis=0).tolist() == [1] * len(users)


def test_values_outside_the_vocabulary_are_cold_however_many_training_rows_share_their_id(
    prepared: Prepared, tmp_path: Path
) -> None:
    """On prepared rows whose users are replaced."""
    directory = tmp_path / "replaced"
    shutil.copytree(prepared.directory, directory)
    users = {"validation": [0, 1, 2, 3, 4], "train": [1] * 50 + [2] * 50 + [3] * 5}
    position = [field.name for field in prepared.encoder.schema.fields].index("user_id")
    for part, column in users.items():
        ids_NF = np.array(prepared.rows(part).ids_NF[: len(column)])
        ids_NF[:, position] = column
        np.save(directory / f"{part}_ids.npy", ids_NF)
    found = slices(Slicing("user_id", seen=True), open_prepared(directory), "validation", 12)
    assert {name.partition(":")[0]: np.flatnonzero(mask).tolist() for name, mask in found} == {
        "cold": [1, 4],
        "rare": [3],
        "warm": [2],
        "missing": [0],
    }


def test_slicings_are_read_from_a_list(prepared: Prepared) -> None:
    parsed = Slicing.parse("gender, item_id:seen", prepared)
    assert parsed == (Slicing("gender"), Slicing("item_id", seen=True))
    assert [str(each) for each in parsed] == ["gender", "item_id:seen"]


BAD = [
    ("gendr", r"--by gendr: field 'gendr' is unknown; did you mean 'gender'\?"),
    ("gender:often", r"got 'gender:often', expected 'gender' or 'gender:seen'"),
    (" ,", r"names no field; expected one or more of \['user_id'"),
]


@pytest.mark.parametrize(("words", "message"), BAD)
def test_a_bad_list_of_fields_is_refused_with_what_to_write(prepared: Prepared, words: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Slicing.parse(words, prepared)
