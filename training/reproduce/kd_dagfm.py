"""KD-DAGFM (WSDM 2023): Tables 2, 3 and 5, Figures 3, 4 and 5."""

from __future__ import annotations

from collections.abc import Mapping

from training.reproduce.published import Printed
from training.reproduce.recipes import direct, distilled, fine_tuned, softly, three
from training.reproduce.rows import Row, Table, row_of
from training.study.settings import Settings

TEACHER_OF: Mapping[str, str] = {"dagfm_inner": "cin", "dagfm_outer": "crossnet"}
"""Which teacher a student imitates in the paper."""


def table_3(settings: Settings) -> Table:
    """Every model beside its printed figure; teachers, students trained directly, distilled, and fine-tuned."""
    baselines = {
        "FmFM": "fmfm",
        "FwFM": "fwfm",
        "xDeepFM": "xdeepfm",
        "DCNV2": "dcnv2",
        "FiBiNet": "fibinet",
        "AutoInt+": "autoint_plus",
        "FiGNN": "fignn",
        "GraphFM": "graphfm",
    }
    printed = Printed("kd_dagfm_table3", settings.data.name)
    rows = [row_of(printed, label, direct(settings, model)) for label, model in baselines.items()]
    rows.append(row_of(printed, "ECKD", softly(settings, three(settings), "dnn", combine="gate")))
    for kind, name in (("inner", "CIN"), ("outer", "CrossNet")):
        student = f"dagfm_{kind}"
        teacher, taught_by = TEACHER_OF[student], f"{name} (teacher)"
        rows += [
            row_of(printed, taught_by, direct(settings, teacher)),
            row_of(printed, f"DAGFM-{kind} (student)", direct(settings, student), taught_by),
            row_of(printed, f"KD-DAGFM-{kind}", distilled(settings, teacher, student), taught_by),
            row_of(printed, f"KD-DAGFM_FT-{kind}", fine_tuned(settings, teacher, student), taught_by),
        ]
    return Table(name="table3", title="KD-DAGFM, Table 3: all models", rows=tuple(rows))


def further_models(settings: Settings) -> Table:
    """The models that only ECKD compares, and the forms of DAGFM that no table has; trained on clicks."""
    names = {
        "LR": "lr",
        "FM": "fm",
        "FFM": "ffm",
        "DNN": "dnn",
        "Wide&Deep": "wide_deep",
        "DeepFM": "deepfm",
        "DCN": "dcn",
        "PIN": "pin",
        "FGCNN": "fgcnn",
        "DAGFM+ inner": "dagfm_plus_inner",
        "DAGFM+ outer": "dagfm_plus_outer",
        "DAGFM, full W": "dagfm_full",
        "DAGFM, unweighted": "dagfm_plain",
    }
    printed = Printed("eckd_table5", settings.data.name)
    rows = tuple(row_of(printed, label, direct(settings, model)) for label, model in names.items())
    return Table(name="models", title="Further models (ECKD, Table 5, and forms of DAGFM)", rows=rows)


def table_2(settings: Settings) -> Table:
    """Two teachers, each imitated by four students."""
    printed = Printed("kd_dagfm_table2", settings.data.name)
    rows: list[Row] = []
    for teacher, name, dagfm, dagfm_name in (
        ("cin", "CIN", "dagfm_inner", "DAGFM-inner"),
        ("crossnet", "CrossNet", "dagfm_outer", "DAGFM-outer"),
    ):
        rows.append(row_of(printed, name, direct(settings, teacher)))
        students = {"FwFM": "fwfm", "FmFM": "fmfm", "Tiny MLP": "tiny_mlp", dagfm_name: dagfm}
        for student_name, student in students.items():
            label = f"{name} → {student_name}"
            rows.append(row_of(printed, label, distilled(settings, teacher, student), name))
    return Table(name="table2", title="KD-DAGFM, Table 2: students of one teacher", rows=tuple(rows))


def table_5(settings: Settings) -> Table:
    """KD-DAGFM+: teachers with implicit interactions, before and after fine-tuning; Table 3 has them for more data."""
    printed, table_3_has = (Printed(f"kd_dagfm_table{number}", settings.data.name) for number in (5, 3))
    rows: list[Row] = []
    teachers = {"xDeepFM": "xdeepfm", "DCNV2": "dcnv2", "AutoInt+": "autoint_plus", "FiBiNet": "fibinet"}
    for name, teacher in teachers.items():
        student = "dagfm_plus_inner" if teacher == "xdeepfm" else "dagfm_plus_outer"
        label = f"{name} → DAGFM+"
        rows += [
            row_of(table_3_has, name, direct(settings, teacher)),
            row_of(printed, label, distilled(settings, teacher, student), name),
            row_of(printed, f"{label}, fine-tuned", fine_tuned(settings, teacher, student), name),
        ]
    return Table(name="table5", title="KD-DAGFM, Table 5: DAGFM+ and its teachers", rows=tuple(rows))


def figure_4(settings: Settings) -> Table:
    """Distilled and fine-tuned students of one to six propagation layers, beside their teachers."""
    rows: list[Row] = []
    for (student, teacher), taught_by in zip(TEACHER_OF.items(), ("CIN", "CrossNet"), strict=True):
        name = student.removeprefix("dagfm_")
        rows.append(Row(label=taught_by, members=(direct(settings, teacher),)))
        for depth in settings.study.depths:
            recipe, tuned = (make(settings, teacher, student, layers=depth) for make in (distilled, fine_tuned))
            rows.append(Row(label=f"{name}, {depth}", members=(recipe,), against=taught_by))
            rows.append(Row(label=f"{name}, {depth}, fine-tuned", members=(tuned,), against=taught_by))
    return Table(name="figure4", title="KD-DAGFM, Figure 4: propagation layers", rows=tuple(rows))


def figure_5(settings: Settings) -> Table:
    """The interaction function between a path and its next field: eq. 3, 4, 5 and 8-9, under both teachers."""
    functions = {
        "⊙ (eq. 3)": "dagfm_plain",
        "w ⊙ (eq. 4), inner": "dagfm_inner",
        "W (eq. 5), full": "dagfm_full",
        "pᵀq (eq. 8), outer": "dagfm_outer",
    }
    rows: list[Row] = []
    for teacher, name in (("cin", "CIN"), ("crossnet", "CrossNet")):
        rows.append(Row(label=name, members=(direct(settings, teacher),)))
        for label, kind in functions.items():
            recipe = distilled(settings, teacher, kind)
            rows.append(Row(label=f"{name} → {label}", members=(recipe,), against=name))
    return Table(name="figure5", title="KD-DAGFM, Figure 5: interaction functions", rows=tuple(rows))
