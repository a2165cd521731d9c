"""Pictures of a report: what is named stands inside, and a legend tells of what is drawn alone."""

from typing import Any

from training.reproduce.drawings import accuracy_and_cost


def row(label: str, auc: float) -> dict[str, Any]:
    scores = {"auc": 0.885, "log_loss": 0.33}
    return {"label": label, "flops": 2_688, "auc": {"mean": auc, "deviation": 0.0005}, "published": scores}


def test_labels_of_rows_that_cost_the_same_stand_inside_the_picture_one_above_the_other() -> None:
    rows = [row("student", 0.9054), row("distilled", 0.9048), row("fine-tuned", 0.9055)]
    rows += [row(f"again, {number}", 0.9055) for number in range(3)]
    (axes,) = accuracy_and_cost({"title": "Table 3", "rows": rows}).axes
    heights = {str(text.get_text()): float(text.xy[1]) for text in axes.texts}  # type: ignore[attr-defined]
    assert len(set(heights.values())) == len(rows)
    assert min(heights, key=heights.__getitem__) == "distilled"
    assert max(heights.values()) < axes.get_ylim()[1]


def test_the_legend_tells_of_what_is_drawn() -> None:
    (axes,) = accuracy_and_cost({"title": "Table 3", "rows": [row("student", 0.9)]}).axes
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["mean ± standard deviation", "published"]
