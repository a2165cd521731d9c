"""teach → distill → fine-tune → evaluate, on generated data."""

import json
import shutil

import pytest
import torch

from training.checkpoint import CheckpointError, load_tensors, save_tensors
from training.config import ConfigError, from_dict
from training.distill import distill
from training.evaluate import evaluate_test
from training.finetune import finetune
from training.run import PHASES, Run
from training.teach import teach


@pytest.fixture
def finished(run: Run) -> Run:
    finetune(run, distill(run, teach(run)))
    return run


def test_the_student_is_distilled_on_the_teachers_embeddings_and_freed_afterwards(finished: Run) -> None:
    teacher, student, tuned = (
        finished.load(phase).model.embedding.weight_VD for phase in ("teach", "distill", "finetune")
    )
    torch.testing.assert_close(student, teacher, rtol=0, atol=0)
    assert not torch.equal(tuned, teacher)


def test_distilling_brings_the_student_closer_to_the_teacher(finished: Run) -> None:
    lines = (finished.directory / "distill/metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["train_loss"] for line in lines]
    assert losses[-1] < losses[0] / 2


def test_training_never_opens_the_test_rows(run: Run) -> None:
    for name in ("test_ids.npy", "test_clicks.npy", "test_true_probability.npy"):
        (run.directory / "data" / name).unlink()
    finetune(run, distill(run, teach(run)))


def test_the_test_split_is_read_once_per_set_of_checkpoints(finished: Run) -> None:
    report = evaluate_test(finished)
    (finished.directory / "data/test_ids.npy").unlink()
    assert evaluate_test(finished) == report


def test_the_best_reachable_scores_stand_beside_the_models(finished: Run) -> None:
    scores = evaluate_test(finished)["scores"]
    assert set(scores) == {"teach", "distill", "finetune", "best reachable"}
    assert scores["best reachable"]["auc"] > scores["finetune"]["auc"]
    assert scores["best reachable"]["log_loss"] < scores["finetune"]["log_loss"]


def test_a_phase_without_its_predecessor_says_what_is_missing(run: Run) -> None:
    with pytest.raises(CheckpointError, match=r"teach/model\.safetensors: not found"):
        run.load("teach")


def test_a_checkpoint_of_other_data_is_refused_with_both_digests(run: Run, finished: Run) -> None:
    meta = finished.directory / "data/prepared.json"
    described = json.loads(meta.read_text())
    meta.write_text(json.dumps({**described, "digest": "f" * 64}))
    with pytest.raises(CheckpointError, match=f"{described['digest']}.*{'f' * 64}"):
        run.load("teach")


def test_a_truncated_checkpoint_is_refused(finished: Run) -> None:
    path = finished.checkpoint("teach")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="not a whole checkpoint"):
        finished.load("teach")


def test_a_phase_made_from_another_checkpoint_is_refused_with_the_folder_to_remove(finished: Run) -> None:
    tensors, meta = load_tensors(finished.checkpoint("teach"))
    save_tensors(finished.checkpoint("teach"), tensors, {**meta, "best_epoch": 77})
    with pytest.raises(CheckpointError, match=r"was made from teacher .* remove .*distill to make it again"):
        distill(finished, teach(finished))


def test_an_unfinished_phase_that_started_from_something_else_is_not_continued(finished: Run) -> None:
    finished.checkpoint("distill").unlink()
    tensors, meta = load_tensors(finished.checkpoint("teach"))
    save_tensors(finished.checkpoint("teach"), tensors, {**meta, "best_epoch": 77})
    with pytest.raises(CheckpointError, match="unfinished phase that started from"):
        distill(finished, teach(finished))


def test_the_fine_tuned_student_knows_its_teacher(finished: Run) -> None:
    assert finished.load("finetune").meta["teacher"] == finished.load("teach").digest


def test_a_checkpoint_that_lacks_a_tensor_is_refused(finished: Run) -> None:
    tensors, meta = load_tensors(finished.checkpoint("teach"))
    tensors.pop("readout.weight")
    save_tensors(finished.checkpoint("teach"), tensors, meta)
    with pytest.raises(CheckpointError, match="not the model it names"):
        finished.load("teach")


def test_a_damaged_report_is_made_again(finished: Run) -> None:
    report = evaluate_test(finished)
    (finished.directory / "test.json").write_text("{")
    assert evaluate_test(finished) == report


def test_curves_are_drawn_for_every_phase(finished: Run) -> None:
    for phase in PHASES:
        assert (finished.directory / phase / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_another_configuration_does_not_write_over_a_run(run: Run) -> None:
    changed = run.config.to_dict()
    changed["run"]["seed"] = 2
    with pytest.raises(ConfigError, match="another configuration"):
        Run.open(run.directory.parent, from_dict(changed, "changed"))
    shutil.rmtree(run.directory)
    Run.open(run.directory.parent, from_dict(changed, "changed"))
