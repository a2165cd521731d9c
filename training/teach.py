"""Teach: train the run's teachers on clicks, one after the other."""

from __future__ import annotations

from training.checkpoint import Trained
from training.config_teachers import TeacherConfig
from training.data.prepare import Prepared
from training.faculty import fresh
from training.lessons import click_lesson
from training.phase import Lesson
from training.progress import console
from training.run import Run, rows_of, train_phase


def teach(run: Run) -> dict[str, Trained]:
    """The teachers that the run trains before its student, by name; each on clicks alone (eq. 13 of KD-DAGFM).

    A teacher with a partition is trained on all rows of training and validation but its fold, which is its validation.
    """
    if run.config.distill.scheme == "co_train":
        console.print("teachers learn along with the student: nothing to do before `distill`")
        return {}
    return {teacher.name: _teach(run, teacher) for teacher in run.own_teachers}


def _teach(run: Run, teacher: TeacherConfig) -> Trained:
    def begin(prepared: Prepared) -> Lesson:
        rows = rows_of(prepared)
        return click_lesson(fresh(teacher, prepared), *(rows if teacher.fold is None else teacher.fold.split(*rows)))

    if teacher.teach is None:
        raise AssertionError(f"teacher {teacher.name!r} has no [teach]: refused where the configuration is read")
    seed = getattr(teacher.source, "seed", None)
    return train_phase(run, run.teach_phase(teacher.name), teacher.teach, begin, {}, seed=seed)
