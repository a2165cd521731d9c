import json
import shutil

import numpy as np
import pytest

from training.data.click_log import DataError
from training.data.prepare import PARTS, Prepared, open_prepared, prepare
from training.data.synthetic import SyntheticConfig, generate
from training.run import Run

LOG = generate(SyntheticConfig(rows=4_000, users=100, items=50))


def test_rows_are_encoded_by_the_very_encoder_that_serves(prepared: Prepared) -> None:
    rows = prepared.rows("validation")
    number = LOG.split.validation[3]
    raw = {name: LOG.columns[name].to_list()[number] for name in LOG.columns.columns}
    schema = prepared.encoder.schema
    context = prepared.encoder.encode_context({field.name: raw[field.name] for field in schema.context})
    candidate = prepared.encoder.encode(schema.candidate, {field.name: [raw[field.name]] for field in schema.candidate})
    np.testing.assert_array_equal(rows.ids_NF[3], np.concatenate([context[0], candidate[0]]))
    assert rows.clicks_N[3] == LOG.clicks_N[number]


def test_every_row_is_in_exactly_one_part(prepared: Prepared) -> None:
    assert sum(len(prepared.rows(part)) for part in PARTS) == len(LOG.clicks_N)


def test_values_too_rare_in_training_are_unknown_in_every_part(prepared: Prepared) -> None:
    """Vocabularies hold what training rows have at least twice; whatever is rarer there has id 1 everywhere."""
    column = LOG.columns["user_id"].to_numpy()
    values, counts = np.unique(column[LOG.split.train], return_counts=True)
    known = set(values[counts >= 2])
    user = [field.name for field in prepared.encoder.schema.fields].index("user_id")
    for part in PARTS:
        expected = [value not in known for value in column[getattr(LOG.split, part)]]
        assert (prepared.rows(part).ids_NF[:, user] == 1).tolist() == expected


def test_the_catalogue_holds_every_item(prepared: Prepared) -> None:
    assert len(prepared.catalogue) == 50


def test_the_field_to_rank_within_is_kept_and_must_be_a_field(prepared: Prepared, run: Run) -> None:
    assert prepared.group_field == "user_id"
    other = LOG.__class__(**{**LOG.__dict__, "group_field": "session"})
    with pytest.raises(DataError, match=r"group_field is 'session', expected one of the fields \['user_id'"):
        prepare(other, run.directory / "other")


def test_the_example_is_a_request_the_encoder_takes(prepared: Prepared) -> None:
    example, encoder = prepared.example, prepared.encoder
    encoder.encode_context(example["context"])
    ids_NF = encoder.encode(encoder.schema.candidate, example["candidates"])
    np.testing.assert_array_equal(ids_NF, prepared.catalogue.candidate_ids(example["items"]))


def test_the_same_log_has_the_same_digest_and_another_has_another(prepared: Prepared, run: Run) -> None:
    assert prepare(LOG, run.directory / "again").digest == prepared.digest
    other = generate(SyntheticConfig(rows=4_000, users=100, items=50, seed=9))
    assert prepare(other, run.directory / "other").digest != prepared.digest


def test_a_failure_leaves_the_old_folder_and_nothing_else(prepared: Prepared) -> None:
    broken = LOG.__class__(**{**LOG.__dict__, "vocabularies": {}})
    with pytest.raises(ValueError, match="vocabularies"):
        prepare(broken, prepared.directory)
    assert open_prepared(prepared.directory).digest == prepared.digest
    assert [path.name for path in prepared.directory.parent.iterdir() if ".tmp-" in path.name] == []


def test_a_folder_without_data_says_what_to_run(run: Run) -> None:
    shutil.rmtree(run.directory / "data")
    with pytest.raises(DataError, match="run `python -m training prepare` first"):
        open_prepared(run.directory / "data")


def test_a_truncated_array_is_refused(prepared: Prepared) -> None:
    path = prepared.directory / "train_ids.npy"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match=r"train_ids\.npy: not readable.*remove the folder and run `prepare` again"):
        prepared.rows("train")


def test_counts_and_source_are_kept_for_the_lineage(prepared: Prepared) -> None:
    meta = json.loads((prepared.directory / "prepared.json").read_text())
    assert meta["rows"] == {part: len(getattr(LOG.split, part)) for part in PARTS}
    assert meta["click_rate"] == pytest.approx(float(LOG.clicks_N.mean()))


@pytest.mark.parametrize("name", ["prepared.json", "vocabulary.json", "example.json"])
def test_a_damaged_folder_says_to_remove_it(prepared: Prepared, name: str) -> None:
    (prepared.directory / name).write_bytes((prepared.directory / name).read_bytes()[:20])
    with pytest.raises(DataError, match=r"damaged .*remove it and run `prepare` again"):
        open_prepared(prepared.directory)


def test_a_part_without_a_click_is_refused_before_anything_is_written(run: Run) -> None:
    unclicked = LOG.clicks_N.copy()
    unclicked[LOG.split.validation] = 0.0
    log = LOG.__class__(**{**LOG.__dict__, "clicks_N": unclicked})
    with pytest.raises(DataError, match="the validation part has 0 clicked of 400 rows"):
        prepare(log, run.directory / "unclicked")
    assert not (run.directory / "unclicked").exists()
