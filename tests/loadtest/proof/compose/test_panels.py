from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from loadtest.proof.compose.panels import Found, Query, expanded, judged, queries


@pytest.mark.parametrize(
    ("expression", "without"),
    [
        ("rate(a[$__rate_interval])", "rate(a[1m])"),
        ("increase(a[${__range}])", "increase(a[5m])"),
        ('a{job=~"$job", arm=~"${arm}"}', 'a{job=~".+", arm=~".+"}'),
        ('a{job=~"${job:regex}"}', 'a{job=~".+"}'),
        ("a / $price", "a / 0.04"),
        ('a{job="x$"}', 'a{job="x$"}'),
        ('label_replace(a, "b", "$1", "c", "(.*)")', 'label_replace(a, "b", "$1", "c", "(.*)")'),
    ],
)
def test_every_variable_of_grafana_is_replaced_and_nothing_else(expression: str, without: str) -> None:
    assert expanded(expression, {"job": ".+", "arm": ".+", "price": "0.04"}) == without


def test_queries_of_panels_in_rows_are_found_and_panels_without_queries_are_none(tmp_path: Path) -> None:
    board = {
        "title": "Board",
        "templating": {"list": [{"name": "job", "type": "query"}, {"name": "p", "type": "textbox", "query": "2"}]},
        "panels": [
            {"type": "text", "title": "words"},
            {"type": "row", "title": "row", "panels": [{"title": "inside", "targets": [{"expr": 'up{job="$job"}'}]}]},
            {"title": "two", "targets": [{"expr": "a"}, {"expr": "b * $p"}, {"expr": ""}]},
        ],
    }
    (tmp_path / "board.json").write_bytes(orjson.dumps(board))
    found = [(query.dashboard, query.panel, query.expression) for query in queries(tmp_path)]
    assert found == [("Board", "inside", 'up{job=".+"}'), ("Board", "two", "a"), ("Board", "two", "b * 2")]


def test_a_folder_without_dashboards_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no dashboard \(\*\.json\)"):
        queries(tmp_path)


def test_a_panel_without_data_and_one_that_is_refused_are_named() -> None:
    query = [Query(dashboard="A", panel=name, expression="x") for name in ("good", "empty", "broken")]
    one, other = judged(
        [
            Found(query=query[0], series=2, error=""),
            Found(query=query[1], series=0, error=""),
            Found(query=query[2], series=0, error="parse error"),
            Found(query=Query(dashboard="B", panel="good", expression="x"), series=1, error=""),
        ]
    )
    assert (one.target, one.found, one.met) == ("3", "1 (empty: nothing; broken: parse error)", False)
    assert (other.target, other.found, other.met) == ("1", "1", True)
