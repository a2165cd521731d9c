"""What names a training, and in which order trainings are carried out."""

from dataclasses import replace

import pytest

from training.config import DistillOptions, FitOptions, Model, model_of
from training.study.recipe import Recipe, Training, in_order

FIT = FitOptions(learning_rate=0.1, weight_decay=0.0, batch_size=8, max_epochs=1, patience=1)
DISTILL = DistillOptions(**FIT.model_dump(), click_weight=0.1, logit_weight=1.0)
DATA = "d" * 64


def model(layers: int = 2) -> Model:
    return model_of({"model": "crossnet", "embedding_size": 4, "layers": layers}, "test", "teacher")


TEACHER = Recipe(model=model(), fit=FIT)
STUDENT = Recipe(model=model(1), fit=DISTILL, teachers=(TEACHER,))
TUNED = Recipe(model=model(1), fit=FIT, start=STUDENT)


def test_anything_that_could_change_the_weights_changes_the_name() -> None:
    training = Training(recipe=STUDENT, seed=1)
    others = [
        Training(recipe=STUDENT, seed=2),
        Training(recipe=replace(STUDENT, model=model(3)), seed=1),
        Training(recipe=replace(STUDENT, fit=DISTILL.model_copy(update={"learning_rate": 0.2})), seed=1),
        Training(recipe=replace(STUDENT, teachers=(replace(TEACHER, shift=1),)), seed=1),
        Training(recipe=replace(STUDENT, teachers=(TEACHER, TEACHER)), seed=1),
        Training(recipe=replace(STUDENT, partition=(0, 9)), seed=1),
    ]
    names = {each.key(DATA) for each in others} | {training.key("e" * 64)}
    assert len(names) == len(others) + 1
    assert training.key(DATA) not in names
    assert training.key(DATA) == Training(recipe=STUDENT, seed=1).key(DATA)


def test_an_option_at_its_default_is_no_part_of_the_name() -> None:
    """So that an option that is added later does not make every earlier training another one."""
    assert "precision" not in STUDENT.plain()["fit"]
    assert "learning_rate" in STUDENT.plain()["fit"]


def test_every_training_comes_once_and_after_what_it_needs() -> None:
    ordered = in_order(iter([Training(recipe=TUNED, seed=1), Training(recipe=TEACHER, seed=1)]), DATA)
    assert [training.recipe for training in ordered.values()] == [TEACHER, STUDENT, TUNED]


def test_teachers_of_an_ensemble_differ_by_their_seeds() -> None:
    twice = replace(STUDENT, teachers=(TEACHER, replace(TEACHER, shift=1)))
    first, second = Training(recipe=twice, seed=7).needs
    assert (first.torch_seed, second.torch_seed) == (7, 1007)


def test_teachers_that_learn_along_are_not_trained_before() -> None:
    options = DISTILL.model_copy(update={"scheme": "co_train", "embeddings": "own"})
    assert Training(recipe=replace(STUDENT, fit=options), seed=1).needs == ()


@pytest.mark.parametrize(("fit", "teachers"), [(FIT, (TEACHER,)), (DISTILL, ())])
def test_teachers_and_a_distillation_go_together(fit: FitOptions, teachers: tuple[Recipe, ...]) -> None:
    with pytest.raises(ValueError, match="if and only if"):
        Recipe(model=model(), fit=fit, teachers=teachers)
