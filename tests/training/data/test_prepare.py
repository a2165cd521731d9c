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


def test_unknown_values_occur_outside_training_only(prepared: Prepared) -> None:
    """Vocabularies are fitted on training rows seen at least twice, so unknown values exist where they should."""
    user = [field.name for field in prepared.encoder.schema.fields].index("user_id")
    assert (prepared.rows("train").ids_NF[:, user] == 0).sum() == 0
    assert (prepared.rows("test").ids_NF < np.array(prepared.encoder.sizes)).all()


def test_the_catalogue_holds_every_item(prepared: Prepared) -> None:
    assert len(prepared.catalogue) == 50


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
    with pytest.raises(DataError, match=r"train_ids\.npy: not readable.*run `prepare` again"):
        prepared.rows("train")


def test_counts_and_source_are_kept_for_the_lineage(prepared: Prepared) -> None:
    meta = json.loads((prepared.directory / "prepared.json").read_text())
    assert meta["rows"] == {part: len(getattr(LOG.split, part)) for part in PARTS}
    assert meta["click_rate"] == pytest.approx(float(LOG.clicks_N.mean()))
