"""What a student learns from teachers: losses, rows, embeddings; with small models and rows in memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from training.data.batches import TensorRows
from training.data.folds import Fold
from training.ensemble import Ensemble
from training.lessons import click_lesson, distillation_lesson
from training.loop import fit
from training.losses import click_loss, soft_label_loss
from training.models.base import CTRModel
from training.objective import predict
from training.options import DistillOptions, FitOptions
from training.phase import Lesson
from training.progress import Progress
from training.sections import ConfigError
from training.teachers.base import ModelTeacher, Teacher

Make = Callable[..., CTRModel]

FIT = {"learning_rate": 0.01, "weight_decay": 0.0, "batch_size": 64, "max_epochs": 3, "patience": 3}
ROWS_B = torch.arange(50)


def options(**changes: Any) -> DistillOptions:
    return DistillOptions(**{**FIT, "click_weight": 0.0, "embeddings": "own", **changes})


@pytest.fixture
def train(few_rows: Callable[[int, int], TensorRows]) -> TensorRows:
    return few_rows(300, 1)


@pytest.fixture
def validation(few_rows: Callable[[int, int], TensorRows]) -> TensorRows:
    return few_rows(60, 2)


@pytest.fixture
def teachers(small_model: Make) -> list[Teacher]:
    return [ModelTeacher("wide", small_model("crossnet", 1)), ModelTeacher("deep", small_model("xdeepfm", 2))]


@pytest.fixture
def student(small_model: Make) -> CTRModel:
    return small_model("dagfm_outer", 3)


def run(lesson: Lesson, folder: Path, how: FitOptions) -> list[dict[str, float]]:
    """Train, and return each epoch's metrics."""
    arguments = (lesson.model, lesson.train, lesson.objective, how)
    return fit(*arguments, directory=folder, seed=0, progress=Progress("test")).epochs


def loss_of(lesson: Lesson, rows_B: Tensor = ROWS_B) -> Tensor:
    return lesson.objective.loss(lesson.model, lesson.train.ids_NF[rows_B], rows_B)


def test_soft_labels_and_clicks_add_up_as_equation_7_says(
    student: CTRModel, teachers: list[Teacher], train: TensorRows, validation: TensorRows
) -> None:
    how = options(click_weight=0.4, soft_label_weight=0.6, temperature=3.0)
    loss = loss_of(distillation_lesson(student, teachers, train, validation, how))
    ids_BF = train.ids_NF[ROWS_B]
    mean_B = (teachers[0].score(ids_BF) + teachers[1].score(ids_BF)) / 2
    logits_B = predict(student, ids_BF)
    expected = 0.4 * click_loss(logits_B, train.clicks_N[ROWS_B]) + 0.6 * soft_label_loss(logits_B, mean_B, 3.0)
    torch.testing.assert_close(loss, expected)


Taught = tuple[CTRModel, list[Teacher], TensorRows, TensorRows]


@pytest.fixture
def taught(student: CTRModel, teachers: list[Teacher], train: TensorRows, validation: TensorRows) -> Taught:
    """The first arguments of every lesson."""
    return student, teachers, train, validation


@pytest.mark.parametrize(
    "how",
    [
        {"logit_weight": 1.0},
        {"soft_label_weight": 1.0, "temperature": 2.0},
        {"hint_weight": 0.1},
        {"logit_weight": 1.0, "combine": "gate"},
    ],
)
def test_the_distillation_loss_falls(how: dict[str, Any], taught: Taught, tmp_path: Path) -> None:
    chosen = options(**how, select="distillation_loss")
    lesson = distillation_lesson(*taught, chosen)
    before = lesson.objective.metrics(lesson.model)["distillation_loss"]
    epochs = run(lesson, tmp_path, chosen)
    best = min(epoch["validation_distillation_loss"] for epoch in epochs)
    assert epochs[-1]["validation_distillation_loss"] < before
    assert lesson.objective.metrics(lesson.model)["distillation_loss"] == pytest.approx(best, rel=1e-6)


def test_cached_and_on_the_fly_are_the_same_lesson(
    small_model: Make, teachers: list[Teacher], train: TensorRows, validation: TensorRows, tmp_path: Path
) -> None:
    epochs = {}
    for kind in ("cached", "on_the_fly"):
        how = options(logit_weight=1.0, click_weight=0.1, combine="gate", teacher_logits=kind)
        torch.manual_seed(0)
        lesson = distillation_lesson(small_model("dagfm_inner", 5), teachers, train, validation, how)
        (tmp_path / kind).mkdir()
        epochs[kind] = run(lesson, tmp_path / kind, how)
    for cached, live in zip(*epochs.values(), strict=True):
        assert live == pytest.approx(cached, rel=1e-5)


def test_no_gradient_reaches_a_finished_teacher(
    student: CTRModel, teachers: list[Teacher], train: TensorRows, validation: TensorRows
) -> None:
    for kind in ({"teacher_logits": "on_the_fly", "logit_weight": 1.0}, {"hint_weight": 1.0}):
        loss_of(distillation_lesson(student, teachers, train, validation, options(**kind))).backward()
        for teacher in teachers:
            assert teacher.model is not None
            assert not teacher.model.training
            assert all(parameter.grad is None for parameter in teacher.model.parameters())


def test_the_gate_learns_from_the_distillation_loss_and_its_weights_are_told(
    student: CTRModel, teachers: list[Teacher], train: TensorRows, validation: TensorRows, tmp_path: Path
) -> None:
    how = options(logit_weight=1.0, combine="gate")
    lesson = distillation_lesson(student, teachers, train, validation, how)
    epochs = run(lesson, tmp_path, how)
    for epoch in epochs:
        assert epoch["validation_alpha_wide"] + epoch["validation_alpha_deep"] == pytest.approx(1.0)
    assert epochs[-1]["validation_alpha_wide"] != epochs[0]["validation_alpha_wide"] != 0.5


def test_the_gates_own_click_loss_reaches_the_gate_and_not_the_student(
    student: CTRModel, teachers: list[Teacher], train: TensorRows, validation: TensorRows
) -> None:
    plain = options(logit_weight=1.0, combine="gate")
    asked = options(logit_weight=1.0, combine="gate", gate_click_weight=2.0)
    gradients = []
    for how in (plain, asked):
        lesson = distillation_lesson(student, teachers, train, validation, how)
        gate = next(module for module in lesson.objective.companions.modules() if isinstance(module, Ensemble))
        gradients.append(torch.autograd.grad(loss_of(lesson), [student.embedding.weight_VD, gate.slope_T]))
    torch.testing.assert_close(gradients[0][0], gradients[1][0])
    assert not torch.allclose(gradients[0][1], gradients[1][1])


def test_a_frozen_table_is_the_teachers_and_stays_so(
    student: CTRModel, teachers: list[Teacher], train: TensorRows, validation: TensorRows, tmp_path: Path
) -> None:
    how = options(logit_weight=1.0, embeddings="teacher_frozen")
    run(distillation_lesson(student, teachers, train, validation, how), tmp_path, how)
    assert teachers[0].model is not None
    seen_V = student.embedding.count_uses(train.ids_NF) > 0
    assert torch.equal(student.embedding.weight_VD[seen_V], teachers[0].model.embedding.weight_VD[seen_V])


def test_a_table_that_starts_as_the_teachers_is_a_copy_that_learns(
    student: CTRModel, teachers: list[Teacher], train: TensorRows, validation: TensorRows, tmp_path: Path
) -> None:
    assert teachers[0].model is not None
    table_VD = teachers[0].model.embedding.weight_VD.clone()
    how = options(logit_weight=1.0, embeddings="teacher_start")
    lesson = distillation_lesson(student, teachers, train, validation, how)
    assert torch.equal(student.embedding.weight_VD, table_VD)
    run(lesson, tmp_path, how)
    assert not torch.equal(student.embedding.weight_VD, table_VD)
    assert torch.equal(teachers[0].model.embedding.weight_VD, table_VD)


def test_an_own_table_is_left_as_it_is_and_may_have_another_size(
    small_model: Make, teachers: list[Teacher], train: TensorRows, validation: TensorRows
) -> None:
    student = small_model("dagfm_outer", 3, embedding_size=7)
    before_VD = student.embedding.weight_VD.clone()
    distillation_lesson(student, teachers, train, validation, options(logit_weight=1.0))
    assert torch.equal(student.embedding.weight_VD, before_VD)
    assert student.embedding.weight_VD.requires_grad
    with pytest.raises(ConfigError, match=r"'wide': \[33, 4\], the student's is \[33, 7\]; .* embeddings = 'own'"):
        distillation_lesson(
            student, teachers, train, validation, options(logit_weight=1.0, embeddings="teacher_frozen")
        )


def test_validation_rows_are_trained_on_if_asked_for(
    student: CTRModel, teachers: list[Teacher], train: TensorRows, validation: TensorRows
) -> None:
    how = options(logit_weight=1.0, train_on_validation=True, select="distillation_loss")
    lesson = distillation_lesson(student, teachers, train, validation, how)
    assert torch.equal(lesson.train.ids_NF, torch.cat([train.ids_NF, validation.ids_NF]))
    rows_B = torch.arange(300, 360)
    gap = (predict(student, validation.ids_NF) - sum(t.score(validation.ids_NF) for t in teachers) / 2).square().mean()
    torch.testing.assert_close(loss_of(lesson, rows_B), gap)
    torch.testing.assert_close(lesson.objective.metrics(student)["distillation_loss"], float(gap))


def test_recombined_rows_are_distilled_and_no_label_of_theirs_is_used(
    student: CTRModel, teachers: list[Teacher], train: TensorRows, validation: TensorRows
) -> None:
    how = options(logit_weight=1.0, click_weight=0.5, recombined_rows=40, combine="gate", gate_click_weight=1.0)
    lesson = distillation_lesson(student, teachers, train, validation, how, seed=7, context_fields=2)
    assert len(lesson.train) == 340
    assert lesson.train.clicks_N[300:].isnan().all()
    only_made, mixed = torch.arange(300, 340), torch.arange(280, 320)
    ids_NF = lesson.train.ids_NF
    taught_N = sum(teacher.score(ids_NF) for teacher in teachers) / 2
    gap_N = (predict(student, ids_NF) - taught_N).square()
    torch.testing.assert_close(loss_of(lesson, only_made), gap_N[only_made].mean())
    labelled, clicks_N = ids_NF[280:300], train.clicks_N[280:]
    clicks = 0.5 * click_loss(predict(student, labelled), clicks_N) + click_loss(taught_N[280:300], clicks_N)
    torch.testing.assert_close(loss_of(lesson, mixed), gap_N[mixed].mean() + clicks)


def test_out_of_fold_rows_hear_only_who_was_not_trained_on_them(
    student: CTRModel, small_model: Make, train: TensorRows, validation: TensorRows
) -> None:
    folds = [Fold(index=i, folds=3, seed=0) for i in range(3)]
    teachers = [ModelTeacher(f"t{i}", small_model("crossnet", i), fold=fold) for i, fold in enumerate(folds)]
    how = options(logit_weight=1.0, logits="out_of_fold", recombined_rows=10)
    lesson = distillation_lesson(student, teachers, train, validation, how, context_fields=2)
    logits_NT = torch.stack([teacher.score(lesson.train.ids_NF) for teacher in teachers], dim=1)
    held_by = torch.stack([fold.held_out(360) for fold in folds], dim=1).int().argmax(1)
    expected_N = torch.cat([logits_NT[torch.arange(300), held_by[:300]], logits_NT[300:].mean(1)])
    gap = (predict(student, lesson.train.ids_NF) - expected_N).square().mean()
    torch.testing.assert_close(loss_of(lesson, torch.arange(310)), gap)
    validation_NT = torch.stack([teacher.score(validation.ids_NF) for teacher in teachers], dim=1)
    gap = (predict(student, validation.ids_NF) - validation_NT[torch.arange(60), held_by[300:]]).square().mean()
    assert lesson.objective.metrics(student)["logit_gap"] == pytest.approx(float(gap), rel=1e-5)


BAD = [
    ({"combine": "fixed", "teacher_weights": (1.0,)}, "teacher_weights has 1 numbers for 2 teachers"),
    ({"recombined_rows": 5}, "the schema has 0 context fields of 4"),
]


@pytest.mark.parametrize(("how", "message"), BAD)
def test_what_does_not_go_together_is_refused(how: dict[str, Any], message: str, taught: Taught) -> None:
    with pytest.raises(ConfigError, match=message):
        distillation_lesson(*taught, options(logit_weight=1.0, **how))


def test_a_teacher_learns_the_same_beside_a_student_as_alone(
    small_model: Make, train: TensorRows, validation: TensorRows, tmp_path: Path
) -> None:
    """To the last bit, both with dropout: the student neither changes the teacher nor takes its random numbers."""
    how = options(logit_weight=1.0, scheme="co_train", weight_decay=1e-4)
    alone, beside = (small_model("xdeepfm", 4, dropout=0.3) for _ in range(2))
    student = small_model("xdeepfm", 5, dropout=0.5)
    one_epoch = how.model_copy(update={"max_epochs": 1})
    for folder in ("alone", "beside"):
        (tmp_path / folder).mkdir()
    run(click_lesson(alone, train, validation), tmp_path / "alone", one_epoch)
    lesson = distillation_lesson(student, [ModelTeacher("t", beside)], train, validation, how)
    run(lesson, tmp_path / "beside", one_epoch)
    for name, tensor in alone.state_dict().items():
        assert torch.equal(tensor, beside.state_dict()[name]), name
    assert not torch.equal(student.embedding.weight_VD, small_model("xdeepfm", 5).embedding.weight_VD)


def test_a_student_learns_from_teachers_that_learn(
    small_model: Make, train: TensorRows, validation: TensorRows, tmp_path: Path
) -> None:
    how = options(logit_weight=1.0, hint_weight=1e-3, scheme="co_train", combine="gate", select="distillation_loss")
    teachers = [ModelTeacher(str(seed), small_model("crossnet", seed)) for seed in (1, 2)]
    before = [predict(teacher.model, validation.ids_NF) for teacher in teachers]
    lesson = distillation_lesson(small_model("dagfm_outer", 3), teachers, train, validation, how)
    epochs = run(lesson, tmp_path, how)
    assert epochs[-1]["train_loss"] < epochs[0]["train_loss"]
    for teacher, untrained_N in zip(teachers, before, strict=True):
        assert not torch.equal(predict(teacher.model, validation.ids_NF), untrained_N)


@pytest.mark.parametrize("scheme", ["pre_train", "co_train"])
def test_a_lesson_that_is_broken_off_goes_on_to_the_same_numbers(
    scheme: str, small_model: Make, train: TensorRows, validation: TensorRows, tmp_path: Path
) -> None:
    """Gate, hint maps and teachers that learn along are in the state that a killed phase resumes from."""
    how = options(logit_weight=1.0, hint_weight=0.1, combine="gate", scheme=scheme, recombined_rows=50)

    def begin() -> Lesson:
        teachers = [ModelTeacher(str(seed), small_model("xdeepfm", seed, dropout=0.2)) for seed in (1, 2)]
        student = small_model("xdeepfm", 3, dropout=0.2)
        return distillation_lesson(student, teachers, train, validation, how, seed=5, context_fields=2)

    for folder in ("straight", "broken"):
        (tmp_path / folder).mkdir()
    straight = run(begin(), tmp_path / "straight", how)
    run(begin(), tmp_path / "broken", how.model_copy(update={"max_epochs": 1}))
    assert run(begin(), tmp_path / "broken", how) == straight
