"""Pictures and tables: that they are made of whatever a report may hold; how they look is for people to judge."""

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from training.evaluate import Slicing, evaluate_part, evaluate_slices
from training.evaluate.picture import draw_part, draw_slices
from training.evaluate.tables import overall_table, slices_table
from training.run import Run


@pytest.fixture(scope="module")
def by_item(trained: Run) -> dict[str, Any]:
    """Sixty slices, some without a click."""
    return evaluate_slices(trained, "validation", Slicing("item_id"), top=60)


def width(table: Any) -> tuple[str, int]:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(table)
    text = console.export_text()
    return text, max(len(line.rstrip()) for line in text.splitlines())


def test_an_evaluation_is_drawn_beside_its_report(trained: Run) -> None:
    path = draw_part(trained, evaluate_part(trained, "validation"))
    assert path == trained.directory / "validation.png"
    assert path.read_bytes().startswith(b"\x89PNG")


def test_slices_are_drawn_even_where_nothing_was_clicked(trained: Run, by_item: dict[str, Any]) -> None:
    path = draw_slices(trained, by_item, "distill")
    assert path == trained.directory / "validation_by_item_id.png"
    assert path.read_bytes().startswith(b"\x89PNG")


def test_the_overall_table_has_a_line_per_model_and_fits_100_columns(trained: Run) -> None:
    text, columns = width(overall_table(trained, evaluate_part(trained, "validation")))
    for words in ("teach", "distill", "finetune", "best reachable", "crossnet", "dagfm_outer", "GAUC", "NE"):
        assert words in text
    assert columns <= 100


def test_an_auc_on_rows_that_were_trained_on_stands_in_brackets(trained: Run) -> None:
    report = evaluate_part(trained, "validation")
    distill = trained.config.distill.model_copy(update={"train_on_validation": True})
    seen = replace(trained, config=replace(trained.config, distill=distill))
    auc = f"{trained.load('distill').meta['validation_auc']:.5f}"
    honest, seen_text = (width(overall_table(run, report))[0] for run in (trained, seen))
    assert f" {auc} " in honest
    assert f"({auc})" in seen_text
    assert "in brackets" in seen_text
    assert "in brackets" not in honest


def test_the_table_of_slices_stars_those_beyond_chance_and_says_how_many_are_expected(by_item: dict[str, Any]) -> None:
    text, columns = width(slices_table(by_item, "distill"))
    beyond = sum(not each["scores"]["distill"]["by_chance"] for each in by_item["slices"])
    stars = sum("*" in line for line in text.splitlines())
    assert stars == beyond + 1
    assert f"{beyond} of {len(by_item['slices'])} beyond chance" in text
    assert columns <= 100
