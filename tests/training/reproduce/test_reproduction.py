"""A reproduction in small: trained once, read back, measured on the test rows, told on a page with pictures."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training.__main__ import MOVIELENS_STUDY
from training.config import ConfigError
from training.metrics import auc
from training.objective import predict
from training.reproduce.command import Reproduction, tables_of
from training.reproduce.measure import Measure
from training.reproduce.rows import Table
from training.run import prepare_once
from training.study.settings import Settings, load_settings, settings_of
from training.study.store import Store

FIT = {"learning_rate": 3e-3, "weight_decay": 1e-6, "batch_size": 512, "max_epochs": 1, "patience": 1}
SETTINGS: dict[str, Any] = {
    "study": {
        "name": "tiny",
        "seeds": [1, 2],
        "embedding_size": 4,
        "best_teacher": "dcn",
        "best_student": "dagfm_inner",
        "hint_weight": 1e-4,
        "depths": [1, 2],
        "remark": "All of them are small.",
    },
    "data": {"set": "synthetic", "rows": 4_000, "users": 100, "items": 50},
    "fit": FIT,
    "distill": {**FIT, "click_weight": 0.1, "logit_weight": 921.6, "select": "logit_gap"},
    "finetune": FIT,
    "models": {
        "cin": {"maps": [3]},
        "crossnet": {"layers": 1},
        "dagfm_inner": {"layers": 1},
        "dagfm_outer": {"layers": 1},
    },
    "notes": {"figure4": {"inner, 1": "Few rows.", "all": "One more layer changes little."}},
}


@pytest.fixture(scope="module")
def reproduction(tmp_path_factory: pytest.TempPathFactory) -> Reproduction:
    directory = tmp_path_factory.mktemp("studies") / "study-tiny"
    settings = settings_of(SETTINGS, "test")
    store = Store(directory, prepare_once(directory / "data", settings.data, None))
    made = Reproduction(
        settings=settings, store=store, tables=tables_of(settings, ["figure4"]), workers=1, command="test"
    )
    assert made.train() == []
    return made


def changed(reproduction: Reproduction, settings: Settings) -> Reproduction:
    tables = tables_of(settings, ["figure4"])
    return Reproduction(settings=settings, store=reproduction.store, tables=tables, workers=1, command="test")


def times(reproduction: Reproduction) -> dict[str, int]:
    folders = reproduction.store.directory.glob("trainings/*/outcome.json")
    return {path.parent.name: path.stat().st_mtime_ns for path in folders}


def test_a_finished_training_is_not_made_again_and_a_lost_one_alone_is(reproduction: Reproduction) -> None:
    before = times(reproduction)
    assert len(before) == len(reproduction.ordered()) == 2 * (2 + 2 * 2 * 2)
    lost = reproduction.tables[0].rows[1].trainings(2)[0]
    shutil.rmtree(reproduction.store.folder(lost))
    assert reproduction.train() == []
    after = times(reproduction)
    assert {key for key in after if after[key] != before[key]} == {reproduction.store.key(lost)}


def test_what_a_killed_phase_resumes_from_is_gone_when_it_is_finished(reproduction: Reproduction) -> None:
    assert not list(reproduction.store.directory.rglob("last.safetensors"))


def test_test_figures_are_those_of_the_models_on_the_test_rows(reproduction: Reproduction) -> None:
    row = reproduction.tables[0].row("outer, 2, fine-tuned")
    found = Measure(reproduction.store).figures(row, 1)
    rows = reproduction.store.prepared.rows("test")
    model = reproduction.store.model(row.trainings(1)[0]).model
    ids_NF = torch.from_numpy(np.array(rows.ids_NF))
    assert found is not None
    assert found.auc == auc(predict(model, ids_NF).numpy(), np.array(rows.clicks_N))


def test_the_report_has_every_row_its_note_and_its_pictures(reproduction: Reproduction, tmp_path: Path) -> None:
    page = reproduction.write(tmp_path).read_text()
    plain = json.loads((tmp_path / "report.json").read_text())
    rows = plain["tables"]["figure4"]["rows"]
    assert [row["label"] for row in rows] == [row.label for row in reproduction.tables[0].rows]
    for row in rows:
        assert len(row["auc"]["values"]) == 2
        assert f"| {row['label']} | {row['auc']['mean']:.4f} ± {row['auc']['deviation']:.4f} |" in page
    assert "- **inner, 1**: Few rows." in page
    assert "\nOne more layer changes little.\n\n|" in page
    assert "\nAll of them are small.\n" in page
    assert "## What holds" not in page, "no claim is about depths"
    assert "](figure4.png)" in page
    assert (tmp_path / "figure4.png").read_bytes().startswith(b"\x89PNG")


def test_a_training_that_fails_is_told_and_takes_along_what_needs_it_alone(reproduction: Reproduction) -> None:
    raw = {**SETTINGS, "fits": {"cin": {"learning_rate": 1e30}}}
    made = changed(reproduction, settings_of(raw, "test").with_seeds(1))
    failures = made.train()
    needing = [key for key, training in made.ordered().items() if "cin" in json.dumps(training.recipe.plain())]
    assert {done.key for done in failures} == set(needing)
    assert any("loss is" in done.failure and "epoch 0" in done.failure for done in failures)


def test_two_tables_share_what_both_take(reproduction: Reproduction) -> None:
    table: Table = reproduction.tables[0]
    twice = Reproduction(
        settings=reproduction.settings, store=reproduction.store, tables=[table, table], workers=1, command="test"
    )
    assert list(twice.ordered()) == list(reproduction.ordered())


def test_settings_without_a_model_that_a_table_takes_are_refused(reproduction: Reproduction) -> None:
    with pytest.raises(ConfigError, match=r"\[models.fmfm\] is missing"):
        tables_of(reproduction.settings, ["table3"])


@pytest.mark.parametrize(
    ("notes", "told"),
    [
        ({"figure_4": {"all": ""}}, r"\[notes.figure_4\]: no such table; did you mean 'figure4'"),
        ({"figure4": {"iner, 1": ""}}, r"\[notes.figure4\] 'iner, 1': no row is called that; did you mean 'inner, 1'"),
        ({"figure4": "One more layer"}, r"\[notes\] figure4: expected a table \[notes.figure4\]"),
    ],
)
def test_notes_on_what_is_not_there_are_refused(notes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        tables_of(settings_of({**SETTINGS, "notes": notes}, "test"), ["figure4"])


def test_notes_on_tables_that_were_not_asked_for_are_left_alone() -> None:
    notes = {"table3": {"no such row": "but nobody looks"}}
    assert len(tables_of(settings_of({**SETTINGS, "notes": notes}, "test"), ["figure4"])) == 1


def test_validation_clicks_that_a_teacher_was_trained_on_choose_no_epoch_of_its_student() -> None:
    settings = load_settings(MOVIELENS_STUDY)
    tables = tables_of(settings, [])
    recipes = [recipe for table in tables for row in table.rows for recipe in row.members]
    taught = [recipe for recipe in recipes if any(teacher.partition for teacher in recipe.teachers)]
    assert taught
    assert {getattr(recipe.fit, "select", None) for recipe in taught} == {"distillation_loss"}
