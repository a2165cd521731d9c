"""`python -m export`: which models it serves, and one line when it cannot."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from export.__main__ import app
from service.bundle import read_bundle
from training.checkpoint import load_tensors, save_tensors
from training.config import from_dict
from training.data.prepare import open_prepared
from training.distill import distill
from training.evaluate import evaluate_test
from training.finetune import finetune
from training.objective import predict
from training.run import Run
from training.teach import teach
from training.teachers.graph import GraphTeacher

FIT: dict[str, Any] = {"learning_rate": 3e-3, "weight_decay": 0.0, "batch_size": 256, "max_epochs": 1, "patience": 1}
CONFIG: dict[str, Any] = {
    "run": {"name": "tiny", "seed": 1},
    "data": {"set": "synthetic", "rows": 4_000, "users": 100, "items": 300},
    "teacher": {"model": "crossnet", "embedding_size": 4, "layers": 1},
    "student": {"model": "dagfm_outer", "embedding_size": 4, "layers": 1},
    "teach": FIT,
    "distill": {**FIT, "click_weight": 0.1, "logit_weight": 921.6},
    "finetune": FIT,
}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run.open(tmp_path / "runs", from_dict(CONFIG, "test"))
    run.prepare(None)
    finetune(run, distill(run, teach(run)))
    return run


def set_validation_auc(run: Run, phase: str, auc: float) -> None:
    """Rewrite a checkpoint as if validation had judged its model so."""
    tensors, meta = load_tensors(run.checkpoint(phase))
    save_tensors(run.checkpoint(phase), tensors, {**meta, "validation_auc": auc})


def export(run: Run, *options: str) -> Any:
    bundles = str(run.directory.parents[1] / "bundles")
    return CliRunner().invoke(app, [str(run.directory), "--bundles", bundles, *options])


@pytest.mark.parametrize("better", ["distill", "finetune"])
def test_validation_decides_which_student_is_served(run: Run, better: str) -> None:
    worse = {"distill": "finetune", "finetune": "distill"}[better]
    set_validation_auc(run, better, 0.9)
    set_validation_auc(run, worse, 0.8)
    evaluate_test(run)
    result = export(run)
    assert result.exit_code == 0, result.output
    root = run.directory.parents[1] / "bundles"
    assert read_bundle(root / "student").manifest.lineage["phase"] == better
    assert read_bundle(root / "teacher").manifest.lineage["phase"] == "teach"
    scores = json.loads((run.directory / "test.json").read_text())["scores"]
    assert read_bundle(root / "student").manifest.metrics["test_auc"] == scores[better]["auc"]


def test_the_tables_are_stored_as_asked_and_their_cost_is_in_the_manifests(run: Run) -> None:
    result = export(run, "--embedding", "int8")
    assert result.exit_code == 0, result.output
    assert "embedding table, bytes as int8" in result.output
    for arm in ("student", "teacher"):
        bundle = read_bundle(run.directory.parents[1] / "bundles" / arm)
        stored = bundle.manifest.embedding
        assert stored is not None
        assert bundle.embedding is not None
        assert (stored.stored_as, stored.bytes) == ("int8", bundle.embedding.nbytes)
        assert abs(stored.auc_change) <= 0.0005


def test_one_table_that_fails_its_gate_keeps_both_bundles_unwritten(run: Run) -> None:
    """The student's: the teacher's passes and would be written first."""
    for phase in ("distill", "finetune"):
        tensors, meta = load_tensors(run.checkpoint(phase))
        tensors["embedding.weight_VD"][:, 0] = 300.0
        save_tensors(run.checkpoint(phase), tensors, meta)
    result = export(run, "--embedding", "int8")
    assert result.exit_code == 2
    assert "dagfm_outer with its embedding table as int8" in " ".join(result.output.split())
    assert not (run.directory.parents[1] / "bundles").exists()


def test_a_run_that_does_not_exist_ends_with_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [str(tmp_path / "nowhere"), "--bundles", str(tmp_path)])
    assert result.exit_code == 2
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_without_a_finished_run_it_says_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = CliRunner().invoke(app, ["--runs", str(tmp_path)])
    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_can_teach_the_data_it_came_from(run: Run) -> None:
    """It gives the logits of its checkpoint, its table read from the file beside the graph."""
    evaluate_test(run)
    assert export(run).exit_code == 0
    prepared = open_prepared(run.directory / "data")
    ids_NF = torch.from_numpy(np.array(prepared.rows("validation").ids_NF))
    teacher = GraphTeacher("live", run.directory.parents[1] / "bundles" / "teacher", prepared.encoder)
    torch.testing.assert_close(teacher.score(ids_NF), predict(run.load("teach").model, ids_NF), rtol=1e-4, atol=1e-5)
