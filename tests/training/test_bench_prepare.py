"""The bench of preparing: its file is one that Criteo's reader takes, and a round prepares all of it."""

from pathlib import Path

from typer.testing import CliRunner

from training.bench_prepare import app, generate
from training.data.criteo import COLUMNS, CriteoOptions, read


def test_the_generated_file_has_criteos_shape_with_missing_rare_and_frequent_values(tmp_path: Path) -> None:
    log = read(CriteoOptions(min_count=2), generate(tmp_path / "train.txt", 500))
    rows = log.columns.rows
    assert rows.rows == 500
    assert rows.names == COLUMNS
    assert rows.counts("I1")[0] > 150
    assert rows.size("C3") - len(log.vocabularies["C3"]) > 300


def test_a_round_says_how_many_rows_it_prepared(tmp_path: Path) -> None:
    path = generate(tmp_path / "train.txt", 500)
    result = CliRunner().invoke(app, ["--once", "--data", str(path)])
    assert result.exit_code == 0, result.output
    rows, seconds, cpu, peak = result.stdout.split()
    assert int(rows) == 500
    assert float(seconds) > 0
    assert float(cpu) > 0
    assert int(peak) > 10
