"""Runs with several teachers: from [[teachers]] to the test report, on few rows and for one epoch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training.checkpoint import CheckpointError
from training.config import Config, from_dict
from training.data.click_log import DataError
from training.distill import distill
from training.evaluate import evaluate_test
from training.faculty import finished
from training.run import Run
from training.sections import ConfigError
from training.teach import teach

FIT: dict[str, Any] = {"learning_rate": 3e-3, "weight_decay": 0.0, "batch_size": 256, "max_epochs": 1, "patience": 1}
CROSS: dict[str, Any] = {"model": "crossnet", "embedding_size": 4, "layers": 1}


def config_of(name: str, teachers: list[dict[str, Any]], **distill_keys: Any) -> Config:
    """An ECKD run: no fine-tuning."""
    return from_dict(
        {
            "run": {"name": name, "seed": 3, "finetune": False},
            "data": {"set": "synthetic", "rows": 2_000, "users": 50, "items": 30},
            "teachers": teachers,
            "student": {"model": "dagfm_outer", "embedding_size": 4, "layers": 1},
            "teach": FIT,
            "distill": {**FIT, "click_weight": 0.1, "soft_label_weight": 0.9, "embeddings": "own", **distill_keys},
        },
        "tests",
    )


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two teachers that hold each other's rows out, heard out of fold through a gate; not distilled yet."""
    teachers = [{"name": f"half-{i}", **CROSS, "partition": [i, 2]} for i in range(2)]
    keys = {
        "combine": "gate",
        "logits": "out_of_fold",
        "train_on_validation": True,
        "select": "distillation_loss",
        "recombined_rows": 100,
    }
    run = Run.open(tmp_path_factory.mktemp("runs"), config_of("gated", teachers, **keys))
    run.prepare(None)
    return run


@pytest.fixture(scope="module")
def distilled(gated: Run) -> Run:
    distill(gated, teach(gated))
    return gated


def test_a_run_keeps_each_of_its_teachers_in_a_folder_of_its_own(distilled: Run) -> None:
    assert distilled.phases == ("teach-half-0", "teach-half-1", "distill")
    tables = [distilled.load(phase).model.embedding.weight_VD for phase in distilled.phases[:2]]
    assert not torch.equal(*tables)
    assert distilled.taught().keys() == {"half-0", "half-1"}


def test_a_resolved_configuration_with_teachers_reads_back(gated: Run) -> None:
    assert from_dict(gated.config.to_dict(), "again") == gated.config
    assert [teacher.source.seed for teacher in gated.config.teachers] == [3, 4]


def test_the_student_knows_its_teachers_and_the_gates_weights(distilled: Run) -> None:
    meta = distilled.load("distill").meta
    for i in range(2):
        assert meta[f"teacher-half-{i}"] == distilled.load(f"teach-half-{i}").digest
    assert meta["validation_alpha_half-0"] + meta["validation_alpha_half-1"] == pytest.approx(1)


def test_the_report_has_every_teacher_and_all_of_them_together(distilled: Run) -> None:
    scores = evaluate_test(distilled)["scores"]
    assert list(scores) == ["teach-half-0", "teach-half-1", "distill", "teachers", "best reachable"]
    assert scores["teachers"]["logit_gap"] == 0
    assert scores["teach-half-0"]["logit_gap"] == pytest.approx(scores["teach-half-1"]["logit_gap"])


def test_logits_of_training_and_validation_rows_are_kept_and_none_of_test_rows(distilled: Run) -> None:
    kept = sorted(path.name.rsplit("-", 1)[1] for path in (distilled.directory / "teacher_logits").iterdir())
    assert kept == ["train.safetensors"] * 2 + ["validation.safetensors"] * 2


def test_a_teacher_trained_anew_makes_the_student_refuse_its_old_self(distilled: Run) -> None:
    taught = distilled.taught()
    swapped = {"half-0": taught["half-1"], "half-1": taught["half-0"]}
    digests = [taught[name].digest for name in ("half-0", "half-1")]
    with pytest.raises(CheckpointError, match=f"made from teacher-half-0 {digests[0]}, the run now holds {digests[1]}"):
        distill(distilled, swapped)


def test_teachers_may_come_from_another_run_and_from_the_data(distilled: Run) -> None:
    from_elsewhere = [
        {"name": "earlier", "run": str(distilled.directory), "phase": "teach-half-1"},
        {"name": "trees", "column": "trees"},
    ]
    run = Run.open(distilled.directory.parent, config_of("elsewhere", from_elsewhere))
    prepared = run.prepare(None)
    with pytest.raises(DataError, match="no logits of teacher 'trees'"):
        distill(run, teach(run))
    said = {part: np.linspace(-1, 1, len(prepared.rows(part)), dtype=np.float32) for part in prepared.meta["rows"]}
    for part, logits_N in said.items():
        np.save(prepared.directory / f"{part}_teacher_trees.npy", logits_N)
    (prepared.directory / "prepared.json").write_text(json.dumps({**prepared.meta, "teachers": ["trees"]}))
    distill(run, teach(run))
    assert run.phases == ("distill",)
    assert run.load("distill").meta["teacher-earlier"] == distilled.load("teach-half-1").digest
    assert set(evaluate_test(run)["scores"]) >= {"teacher earlier", "teacher trees", "teachers", "distill"}
    column = finished(run.config.teachers[1], run.prepare(None), {})
    ids_NF = torch.from_numpy(np.array(prepared.rows("validation").ids_NF))
    np.testing.assert_array_equal(column.logits("validation", ids_NF).numpy(), said["validation"])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"recombined_rows": 5},
            "recombined_rows = 5 needs a teacher that can be asked about any row; teacher 'trees'",
        ),
        ({"teacher_logits": "on_the_fly"}, "teacher_logits = 'on_the_fly' needs a teacher that can be asked"),
        (
            {"hint_weight": 0.1},
            "hint_weight = 0.1 needs the model of each teacher; teacher 'trees' is no model of ours",
        ),
        ({"embeddings": "teacher_start"}, "table of the first teacher, 'trees': no table of ours"),
    ],
)
def test_a_column_cannot_do_what_needs_a_model(gated: Run, keys: dict[str, Any], message: str, tmp_path: Path) -> None:
    run = Run.open(tmp_path, config_of("column", [{"name": "trees", "column": "trees"}], **keys))
    prepared = run.prepare(None)
    for part in ("train", "validation"):
        logits_N = np.zeros(len(prepared.rows(part)), np.float32)
        np.save(prepared.directory / f"{part}_teacher_trees.npy", logits_N)
    (prepared.directory / "prepared.json").write_text(json.dumps({**prepared.meta, "teachers": ["trees"]}))
    with pytest.raises(ConfigError, match=message):
        distill(run, teach(run))


def test_teachers_that_learn_along_are_kept_beside_their_student(tmp_path: Path) -> None:
    teachers = [{"name": name, **CROSS} for name in ("a", "b")]
    run = Run.open(tmp_path, config_of("together", teachers, scheme="co_train"))
    run.prepare(None)
    distill(run, teach(run))
    assert not (run.directory / "teach-a").exists()
    assert {path.name for path in (run.directory / "distill").glob("?.safetensors")} == {
        "a.safetensors",
        "b.safetensors",
    }
    scores = evaluate_test(run)["scores"]
    assert run.load("teach-a").meta["validation_auc"] != run.load("teach-b").meta["validation_auc"]
    assert set(scores) >= {"teach-a", "teach-b", "teachers", "distill"}
