"""ECKD (CIKM 2020): Tables 2, 3, 4 and 6 and Figure 3, with a DNN as the student; the paper has Avazu and Criteo.

Beside rows on other data stand Avazu's differences, student less what the row is compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from training.reproduce.published import Printed
from training.reproduce.recipes import direct, on_partitions, six, six_kinds, softly, three
from training.reproduce.rows import Row, Table, row_of
from training.study.recipe import Recipe
from training.study.settings import Settings

TEACHERS = {"DeepFM": "deepfm", "DCN": "dcn", "xDeepFM": "xdeepfm"}
STUDENTS = {"DNN": "dnn", **TEACHERS}


def schemes(settings: Settings) -> Table:
    """Table 2: soft labels or hints, with a finished teacher or one that learns along."""
    hint = {"soft_label_weight": 0.0, "click_weight": 1.0, "hint_weight": settings.study.hint_weight}
    co_train = {"scheme": "co_train"}
    printed = Printed("eckd_table2", settings.data.name)
    rows = [row_of(printed, "DNN", direct(settings, "dnn"))]
    for name, teacher in TEACHERS.items():
        for label, changes in (
            ("hint + co-train", {**hint, **co_train}),
            ("hint + pre-train", hint),
            ("soft label + co-train", co_train),
            ("soft label + pre-train", {}),
        ):
            recipe = softly(settings, [direct(settings, teacher)], "dnn", **changes)
            rows.append(row_of(printed, f"{name} → DNN, {label}", recipe, "DNN"))
    return Table(name="eckd2", title="ECKD, Table 2: schemes of distillation", rows=tuple(rows))


def teachers_and_students(settings: Settings) -> Table:
    """Table 3: five teachers and four students."""
    printed = Printed("eckd_table3", settings.data.name)
    rows: list[Row] = []
    single = {name: (direct(settings, label),) for name, label in STUDENTS.items()}
    for name, teachers in {**single, "3T": three(settings)}.items():
        rows.append(row_of(printed, name, teachers))
        for student_name, student in STUDENTS.items():
            label = f"{name} → {student_name}"
            rows.append(row_of(printed, label, softly(settings, teachers, student), name))
    return Table(name="eckd3", title="ECKD, Table 3: teachers and students", rows=tuple(rows))


def ensembles(settings: Settings) -> Table:
    """Table 4: one teacher, three, six; of several architectures (M) or on several partitions (D).

    Ensembles are compared with the one teacher, their students with its student. Teachers on partitions were trained
    on most validation clicks, so that a student's validation AUC is theirs rather than its own: 0.928 where test has
    0.907, rising to the last epoch. Their students are stopped by the distillation loss, as the paper proposes.
    """
    groups: Mapping[str, Sequence[Recipe]] = {
        "1T": (direct(settings, settings.study.best_teacher),),
        "3T(M)": three(settings),
        "3T(D)": on_partitions(settings, 3),
        "6T(M)": six(settings),
        "6T(D)": on_partitions(settings, 6),
    }
    printed = Printed("eckd_table4", settings.data.name)
    rows: list[Row] = []
    for name, teachers in groups.items():
        alone = name == "1T"
        teacher, student = None if alone else "1T", "1T" if alone else "1T → DNN"
        stopping = {"select": "distillation_loss"} if name.endswith("(D)") else {}
        rows.append(row_of(printed, name, teachers, teacher))
        rows.append(row_of(printed, f"{name} → DNN", softly(settings, teachers, "dnn", **stopping), student))
    return Table(name="eckd4", title="ECKD, Table 4: ensembles of teachers", rows=tuple(rows))


def sizes(settings: Settings) -> Table:
    """Table 6: the DNN alone, as a student, and larger as a student (DNN+)."""
    printed = Printed("eckd_table6", settings.data.name)
    rows = [row_of(printed, name, direct(settings, label)) for name, label in (("DNN", "dnn"), ("DNN+", "dnn_plus"))]
    for name, teacher in TEACHERS.items():
        rows.append(row_of(printed, name, direct(settings, teacher)))
        for student_name, student in (("DNN", "dnn"), ("DNN+", "dnn_plus")):
            recipe = softly(settings, [direct(settings, teacher)], student)
            rows.append(row_of(printed, f"{name} → {student_name}", recipe, name))
    return Table(name="eckd6", title="ECKD, Table 6: sizes of the student", rows=tuple(rows))


def ablation(settings: Settings) -> Table:
    """Figure 3: (a) teachers averaged or gated, (b) stopped by validation AUC or by the distillation loss."""
    rows: list[Row] = []
    for name, teachers in (("3T", three(settings)), ("6T", six_kinds(settings))):
        averaged, gated = f"{name} → DNN, averaged", f"{name} → DNN, gated"
        rows.append(_row(averaged, softly(settings, teachers, "dnn")))
        rows.append(_row(gated, softly(settings, teachers, "dnn", combine="gate"), averaged))
    by_auc, by_loss = "3T → DNN, stopped by AUC", "3T → DNN, stopped by distillation loss"
    stopping = {"select": "distillation_loss", "train_on_validation": True}
    rows.append(_row(by_auc, softly(settings, three(settings), "dnn")))
    rows.append(_row(by_loss, softly(settings, three(settings), "dnn", **stopping), by_auc))
    return Table(name="eckd_figure3", title="ECKD, Figure 3: teacher gating and early stopping", rows=tuple(rows))


def _row(label: str, recipe: Recipe, against: str | None = None) -> Row:
    return Row(label=label, members=(recipe,), against=against)
