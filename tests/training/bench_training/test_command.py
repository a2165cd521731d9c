"""The command on one small model: what it writes, and that it goes on where a bench was left."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from training.bench_training.__main__ import app


def bench(out: Path, *arguments: str) -> Result:
    asked = ("--models", "lr", "--shapes", "ml", "--threads", "1", "--quick", "--out", str(out))
    return CliRunner().invoke(app, [*asked, *arguments])


def results(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((out / "bench.json").read_bytes())["results"]
    return found


def test_a_bench_is_a_page_a_picture_and_figures_and_is_added_to(tmp_path: Path) -> None:
    assert bench(tmp_path, "--batches", "512").exit_code == 0
    before = results(tmp_path)
    assert [each["precision"] for each in before] == ["float32", "bfloat16"]
    assert bench(tmp_path, "--batches", "512,256", "--add").exit_code == 0
    after = results(tmp_path)
    assert after[:2] == before
    assert [each["batch"] for each in after] == [512, 512, 256, 256]
    page = (tmp_path / "bench.md").read_text()
    assert f"| ml | lr f32 | 256 | 1 | {after[2]['rows_per_second']:,.0f} |" in page
    assert page.count("\npython -m training.bench_training") == 2
    assert (tmp_path / "bench.png").stat().st_size > 10_000


def test_figures_of_another_machine_are_not_added_to(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    before = json.dumps({"machine": {"cores": 64, "torch": "1.0"}, "results": [], "command": "x"})
    path.write_text(before)
    refused = bench(tmp_path, "--batches", "512", "--add")
    assert refused.exit_code == 2
    assert "'cores': 64" in refused.output
    assert path.read_text() == before


def test_a_model_there_is_not_is_refused(tmp_path: Path) -> None:
    refused = bench(tmp_path, "--batches", "512", "--models", "lr,dcnv3")
    assert refused.exit_code == 2
    assert "'dcnv3' is none of" in refused.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--batches", "--threads"])
def test_a_size_that_is_none_is_refused(tmp_path: Path, option: str) -> None:
    refused = bench(tmp_path, "--batches", "512", option, "64,none")
    assert refused.exit_code == 2
    assert "'none' is no number above zero" in refused.output
