"""The command line: which data and configuration it takes, and one line when something is wrong."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from training.__main__ import CONFIGS, _default_config, _source, app
from training.config import load

SMOKE = str(CONFIGS.resolve() / "smoke.toml")


@pytest.fixture(autouse=True)
def without_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder with no data set in it, beside it or in the environment."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.delenv("CTR_DATA", raising=False)


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def test_without_data_the_click_log_is_generated() -> None:
    assert _default_config(None).data.name == "synthetic"


def test_data_that_is_given_or_stands_in_the_usual_place_is_movielens(tmp_path: Path) -> None:
    assert _default_config(Path("somewhere.zip")).data.name == "movielens"
    (tmp_path / "shared" / "data").mkdir(parents=True)
    (tmp_path / "shared" / "data" / "ml-1m.zip").touch()
    assert _default_config(None).data.name == "movielens"


def test_movielens_data_in_the_environment_does_not_disturb_a_generated_run() -> None:
    assert _source(load(Path(SMOKE)), Path("ml-1m.zip")) is None
    assert _source(load(Path(SMOKE)), Path("clicks.csv")) == Path("clicks.csv")


def test_missing_data_ends_with_a_command_that_exists() -> None:
    result = invoke("prepare", "--config", str(Path(SMOKE).with_name("movielens.toml")))
    assert result.exit_code == 2
    assert "`python -m training download`" in result.stderr
    assert invoke("download", "--help").exit_code == 0


BAD = [
    (["prepare", "--config", "nowhere.toml"], "nowhere.toml: not found"),
    (["prepare", "--config", "."], "not readable"),
    (["distill", "--config", SMOKE], "holds no prepared.json"),
    (["prepare", "--config", SMOKE, "--runs", "a-file"], "a-file"),
    (["run", "--config", SMOKE, "--data", "nowhere.csv"], "nowhere.csv"),
    (["bench", "--config", SMOKE, "--data", "nowhere.csv"], "nowhere.csv"),
    (["evaluate", "--config", SMOKE, "--by", "gender"], "holds no prepared.json"),
    (["search", "--config", SMOKE], "nothing to search: give --grid GRID.toml or --set section.key=value,value"),
    (["search", "--config", SMOKE, "--set", "finetune.lr=1,2"], "[finetune] key 'lr' is unknown"),
    (["search", "--config", SMOKE, "--grid", "nowhere.toml"], "nowhere.toml: not found"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_what_cannot_be_done_is_one_line_and_status_2(arguments: list[str], message: str) -> None:
    Path("a-file").touch()
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.strip().count("\n") == 0
    assert not list(Path("runs").glob("*/data"))


def test_a_corrupt_configuration_of_a_run_is_refused() -> None:
    assert invoke("prepare", "--config", SMOKE).exit_code == 0
    Path("runs/smoke/config.toml").write_text("[run\n")
    result = invoke("prepare", "--config", SMOKE)
    assert result.exit_code == 2
    assert "runs/smoke/config.toml: not TOML" in result.stderr


def test_results_go_to_standard_output_and_progress_to_standard_error() -> None:
    result = invoke("prepare", "--config", SMOKE)
    assert '"name": "synthetic"' in result.stdout
    assert "encode" in result.stderr


def test_generate_writes_a_log_that_prepare_reads() -> None:
    assert invoke("generate", "--out", "clicks.csv", "--config", SMOKE).exit_code == 0
    result = invoke("prepare", "--config", SMOKE, "--data", "clicks.csv")
    assert result.exit_code == 0, result.stderr
    assert '"train": 32000' in result.stdout


def test_every_model_is_listed() -> None:
    listed = invoke("models").stdout
    assert all(name in listed for name in ("crossnet", "cin", "dagfm_inner", "dagfm_outer"))


def test_an_error_names_its_section_in_brackets(tmp_path: Path) -> None:
    """Brackets are markup to the console: a message must come out as it was written."""
    config = tmp_path / "mistaken.toml"
    config.write_text(Path(SMOKE).read_text().replace("[teach]\nlearning_rate", "[teach]\nlearnin_rate"))
    result = invoke("prepare", "--config", str(config))
    assert result.exit_code == 2
    assert "[teach] key 'learnin_rate' is unknown; did you mean 'learning_rate'?" in result.stderr


def test_the_example_configuration_of_own_data_reads_a_generated_log() -> None:
    """Its fields, rules and items are those of the log that `generate` writes."""
    assert invoke("generate", "--out", "clicks.csv", "--config", SMOKE).exit_code == 0
    own = str(Path(SMOKE).with_name("own-data.toml"))
    result = invoke("prepare", "--config", own, "--data", "clicks.csv")
    assert result.exit_code == 0, result.stderr
    assert '"group_field": "user_id"' in result.stdout
    assert '"hour_of_day": 26' in result.stdout
