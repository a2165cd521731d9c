"""Beyond both papers: one light student that stands for several models of its own kind.

KD-DAGFM's student has one teacher, whose frozen embeddings it reads; ECKD's has several, and embeddings of its own.
Here a student begins with the first teacher's embeddings, moves them, and imitates the mean logit of several teachers
of its own kind, on clicked rows and on recombined ones: contexts of the log beside candidates they never came with.
"""

from __future__ import annotations

from training.reproduce.recipes import direct
from training.reproduce.rows import Row, Table
from training.study.recipe import Recipe
from training.study.settings import Settings

TEACHERS = 3


def one_for_several(settings: Settings) -> Table:
    """[study] `best_student` alone, several of it, and one that learned from them as [ensemble] says.

    Data without context fields, whose [ensemble] has no `recombined_rows`, have no row for these.
    """
    student = settings.study.best_student
    teachers = tuple(direct(settings, student, shift=number) for number in range(TEACHERS))
    options = settings.ensemble(student)
    name = student.replace("dagfm_", "DAGFM-")
    several = f"{TEACHERS} x {name}"
    schemes = {"clicked rows": settings.ensemble(student, recombined_rows=0)}
    if options.recombined_rows:
        schemes["recombined rows too"] = options
    rows = [Row(label=name, members=teachers[:1]), Row(label=several, members=teachers, against=name)]
    for told, scheme in schemes.items():
        recipe = Recipe(model=settings.model(student), fit=scheme, teachers=teachers)
        rows.append(Row(label=f"{several} → {name}, {told}", members=(recipe,), against=name))
    return Table(name="beyond", title="Beyond the papers: one student for several of its kind", rows=tuple(rows))
