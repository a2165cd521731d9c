from typing import Any

import pytest

from training.reproduce.claims import claims


def row(label: str, auc: float = 0.9, **more: Any) -> dict[str, Any]:
    figures = {"auc": {"mean": auc}, "log_loss": {"mean": 0.3}}
    return {"label": label, "seeds": [1, 2], "published": None, "flops": 4032, **figures, **more}


def published(auc: float) -> dict[str, float]:
    return {"auc": auc, "log_loss": 0.3}


def against(label: str, auc: float, log_loss: float, p: float | None) -> dict[str, Any]:
    return {"label": label, "auc": {"difference": auc, "p": p}, "log_loss": {"difference": log_loss, "p": p}}


def told(name: str, *rows: dict[str, Any]) -> list[tuple[str, str]]:
    """(found, holds) of every claim on one table."""
    return [(claim["found"], claim["holds"]) for claim in claims({name: {"rows": list(rows)}}, "movielens")]


@pytest.mark.parametrize(("auc", "holds"), [(0.8991, "yes"), (0.8989, "no")])
def test_the_row_that_is_farthest_below_its_published_figure_decides(auc: float, holds: str) -> None:
    rows = (row("FmFM", 0.95, published=published(0.9)), row("FwFM", auc, published=published(0.9)), row("ours", 0.1))
    assert told("table3", *rows) == [(f"2 rows, from FwFM {auc - 0.9:+.4f} to FmFM +0.0500", holds)]


@pytest.mark.parametrize(
    ("auc", "log_loss", "holds"),
    [(-0.0003, 0.0005, "yes"), (-0.0004, 0.0, "no"), (0.0, 0.0006, "no"), (0.001, -0.001, "yes")],
)
def test_a_student_imitates_its_teacher_in_auc_and_in_log_loss(auc: float, log_loss: float, holds: str) -> None:
    (found, verdict), (_, alone) = told("table3", row("KD-DAGFM-inner", against=against("CIN", auc, log_loss, 0.5)))
    assert verdict == alone == holds
    assert f"{auc:+.5f}" in found


def test_students_are_averaged_over_both_tables_and_the_farthest_is_named() -> None:
    inner = row("KD-DAGFM-inner", against=against("CIN", -0.0001, 0.0, 0.5))
    plus = row("xDeepFM → DAGFM+", against=against("xDeepFM", -0.0006, 0.0006, 0.5))
    tuned = row("xDeepFM → DAGFM+, fine-tuned", against=against("xDeepFM", 0.1, -0.1, 0.5))
    found = claims({"table3": {"rows": [inner]}, "table5": {"rows": [plus, tuned]}}, "movielens")
    (told,) = [claim for claim in found if "over students" in claim["claim"]]
    assert told["holds"] == "no"
    assert told["found"] == "AUC -0.00035, log loss +0.00030; 2 students, the farthest xDeepFM → DAGFM+ -0.00060"


@pytest.mark.parametrize(
    ("difference", "p", "holds"),
    [(0.001, 0.049, "yes"), (0.001, 0.05, "not shown"), (-0.001, 0.01, "the reverse"), (0.001, None, "not shown")],
)
def test_better_is_what_the_paired_test_says(difference: float, p: float | None, holds: str) -> None:
    gated = row("3T → DNN, gated", against=against("3T → DNN, averaged", difference, -difference, p))
    ((found, verdict),) = told("eckd_figure3", gated)
    assert verdict == holds
    assert ("p =" in found) == (p is not None)


@pytest.mark.parametrize(
    ("auc", "flops", "holds"),
    [(0.9020, 4032, ["yes", "yes"]), (0.9001, 4032, ["yes", "no"]), (0.95, 4033, ["no", "no"])],
)
def test_the_student_is_held_against_auc_and_flops(auc: float, flops: int, holds: list[str]) -> None:
    fine_tuned = row("KD-DAGFM_FT-outer", auc, flops=flops, against=None)
    assert [verdict for _, verdict in told("table3", fine_tuned)] == holds
    several = row("3 x DAGFM-inner", 0.99, flops=1, against=None)
    assert [
        verdict for _, verdict in told("beyond", several, row("3 x a → a", auc, flops=flops, against=None))
    ] == holds


@pytest.mark.parametrize(("plus", "holds"), [(0.0002, "yes"), (-0.0002, "yes"), (0.0004, "no")])
def test_of_all_students_the_one_with_the_smallest_difference_is_nearest(plus: float, holds: str) -> None:
    dagfm = row("CIN → DAGFM-inner", against=against("CIN", plus, 0.0, 0.5))
    fmfm = row("CIN → FmFM", against=against("CIN", -0.0003, 0.0, 0.5))
    other = row("CrossNet → FmFM", against=against("CrossNet", 0.0, 0.0, 0.5))
    ((found, verdict),) = told("table2", row("CIN"), dagfm, fmfm, other)
    assert verdict == holds
    assert found.startswith("CIN → DAGFM-inner" if holds == "yes" else "CIN → FmFM -0.0003, then CIN → DAGFM-inner")


def test_figures_of_movielens_are_asked_of_no_other_data() -> None:
    rows = {"table3": {"rows": [row("KD-DAGFM_FT-outer", against=None)]}}
    assert len(claims(rows, "movielens")) == 2
    assert claims(rows, "criteo") == []


def test_an_ensemble_is_no_student() -> None:
    assert told("beyond", row("3 x DAGFM-inner", against=None)) == []


def seeded(label: str, values: dict[int, float], **more: Any) -> dict[str, Any]:
    figures = {name: {"mean": 0.9, "values": list(values.values())} for name in ("auc", "log_loss")}
    return row(label, **more) | figures | {"seeds": list(values)}


def test_a_student_is_held_against_itself_without_a_teacher_over_the_seeds_both_have() -> None:
    tuned = seeded("KD-DAGFM_FT-inner", {1: 0.91, 2: 0.93, 3: 0.92})
    alone = seeded("DAGFM-inner (student)", {3: 0.90, 1: 0.90})
    ((found, verdict),) = told("table3", tuned, alone)
    assert found == "AUC +0.0150, log loss +0.0150, p = 0.2"  # t = 3 with one degree of freedom
    assert verdict == "not shown"


def test_rows_without_a_seed_in_common_are_not_compared() -> None:
    tuned, alone = seeded("KD-DAGFM_FT-inner", {1: 0.91}), seeded("DAGFM-inner (student)", {2: 0.90})
    assert told("table3", tuned, alone) == []


@pytest.mark.parametrize(
    ("second", "holds"), [((0.002, 0.01), "yes"), ((0.002, 0.2), "not shown"), ((-0.1, 0.01), "no")]
)
def test_all_are_better_only_if_each_is(second: tuple[float, float], holds: str) -> None:
    rows = [row(label, against=against("DNN", auc, 0.0, p)) for label, auc, p in (("a", 0.001, 0.01), ("b", *second))]
    ((found, verdict),) = told("eckd3", row("DNN", against=None), *rows)
    assert verdict == holds
    assert found.startswith(f"{1 + (holds == 'yes')} of 2 better, {int(holds == 'no')} worse")


def test_rows_that_are_not_finished_or_not_asked_for_claim_nothing() -> None:
    unfinished: dict[str, Any] = {"label": "KD-DAGFM_FT-outer", "seeds": [], "published": None}
    assert told("table3", unfinished) == []
    assert claims({}, "movielens") == []
