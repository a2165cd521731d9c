"""One student for several of its kind: who teaches, from where the student starts, and on which rows."""

from training.__main__ import CONFIGS, MOVIELENS_STUDY
from training.config import DistillOptions
from training.reproduce.beyond import TEACHERS, one_for_several
from training.reproduce.rows import Row
from training.study.settings import load_settings


def students(rows: tuple[Row, ...]) -> list[Row]:
    return [row for row in rows if row.members[0].teachers]


def test_teachers_are_of_the_students_kind_and_differ_by_their_seed_alone() -> None:
    alone, several, *taught = one_for_several(load_settings(MOVIELENS_STUDY)).rows
    assert several.members[:1] == alone.members
    assert [recipe.shift for recipe in several.members] == list(range(TEACHERS))
    for row in taught:
        (recipe,) = row.members
        assert recipe.teachers == several.members
        assert recipe.model == alone.members[0].model


def test_the_student_moves_the_embeddings_it_begins_with_and_sees_recombined_rows_once_with_and_once_without() -> None:
    options = [row.members[0].fit for row in students(one_for_several(load_settings(MOVIELENS_STUDY)).rows)]
    assert all(isinstance(each, DistillOptions) and each.embeddings == "teacher_start" for each in options)
    assert [isinstance(each, DistillOptions) and each.recombined_rows > 0 for each in options] == [False, True]


def test_without_context_fields_there_is_nothing_to_recombine() -> None:
    criteo = load_settings(CONFIGS / "studies" / "criteo.toml")
    assert [row.label for row in students(one_for_several(criteo).rows)] == [
        f"{TEACHERS} x DAGFM-outer → DAGFM-outer, clicked rows"
    ]
