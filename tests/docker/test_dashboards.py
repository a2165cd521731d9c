from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from tests.docker.programs import GRAFANA

PATHS = sorted((GRAFANA / "dashboards").glob("*.json"))
BOARDS = {path.stem: orjson.loads(path.read_bytes()) for path in PATHS}


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def all_panels() -> Iterator[Any]:
    for uid, board in BOARDS.items():
        for panel in panels(board):
            yield pytest.param(panel, id=f"{uid}: {panel['title']}")


def test_the_committed_boards_are_what_the_code_makes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "boards", str(tmp_path)], cwd=GRAFANA, check=True)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_text() for path in PATHS}, "run `python -m boards` in docker/grafana"


def test_there_are_four_boards_each_known_by_its_uid() -> None:
    assert {board["uid"] for board in BOARDS.values()} == set(BOARDS)
    assert set(BOARDS) == {"ctr-service", "ctr-experiment", "ctr-model", "ctr-cost"}


@pytest.mark.parametrize("panel", list(all_panels()))
def test_a_panel_says_what_it_is_and_what_to_do(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["datasource"] == {"type": "prometheus", "uid": "prometheus"}
    assert [target["refId"] for target in panel["targets"]] == list("ABCDEFG"[: len(panel["targets"])])
    assert all(target["legendFormat"] for target in panel["targets"])
    unit = (
        panel["options"]["yAxis"]["unit"]
        if panel["type"] == "heatmap"
        else panel["fieldConfig"]["defaults"].get("unit")
    )
    assert unit or panel["type"] == "table"


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_panels_fill_rows_of_24_columns_and_none_covers_another(board: dict[str, Any]) -> None:
    cells = [
        {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        for at in (panel["gridPos"] for panel in panels(board))
    ]
    assert all(not (one & other) for one, other in combinations(cells, 2))
    assert all(0 <= x < 24 for cell in cells for x, _ in cell)
    by_line: dict[int, int] = {}
    for x, y in set().union(*cells):
        by_line[y] = max(by_line.get(y, 0), x)
    assert set(by_line.values()) == {23}


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_a_board_cannot_be_changed_by_hand_and_leads_to_the_others(board: dict[str, Any]) -> None:
    assert not board["editable"]
    assert board["tags"] == ["ctr"]
    [link] = board["links"]
    assert (link["type"], link["tags"], link["keepTime"]) == ("dashboards", ["ctr"], True)


def test_what_is_provisioned_is_what_the_boards_ask() -> None:
    [source] = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert (source["uid"], source["type"], source["editable"]) == ("prometheus", "prometheus", False)
    [provider] = yaml.safe_load((GRAFANA / "provisioning/dashboards/boards.yaml").read_text())["providers"]
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"
    assert not provider["allowUiUpdates"]
