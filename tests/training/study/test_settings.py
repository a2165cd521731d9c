"""A study's TOML: what is said once holds for every model, what differs is said for one."""

from pathlib import Path
from typing import Any

import pytest

from training.__main__ import CONFIGS
from training.config import ConfigError
from training.reproduce.command import TABLES, tables_of
from training.study.settings import load_settings, settings_of

STUDIES = sorted((CONFIGS / "studies").glob("*.toml"))


def raw(**changes: Any) -> dict[str, Any]:
    fit = {"learning_rate": 0.1, "weight_decay": 0.0, "batch_size": 8, "max_epochs": 3, "patience": 1}
    study = {
        "name": "tiny",
        "seeds": [1, 2],
        "embedding_size": 4,
        "best_teacher": "dcn",
        "best_student": "dagfm_inner",
        "hint_weight": 1e-4,
    }
    sections = {"study": study, "data": {"set": "synthetic"}, "fit": fit, "models": {"crossnet": {"layers": 2}}}
    return {**sections, **changes}


def test_a_label_is_its_architecture_unless_it_says_another() -> None:
    models = {"crossnet": {"layers": 2}, "deep_cross": {"model": "crossnet", "layers": 5, "embedding_size": 8}}
    settings = settings_of(raw(models=models), "test")
    assert settings.model("crossnet").options.embedding_size == 4
    assert settings.model("deep_cross").name == "crossnet"
    assert settings.model("deep_cross").options.embedding_size == 8
    assert settings.model("crossnet", layers=3).options.model_dump()["layers"] == 3


def test_what_differs_for_one_model_is_said_for_it_alone() -> None:
    models = {"crossnet": {"layers": 2}, "fwfm": {}}
    settings = settings_of(raw(models=models, fits={"fwfm": {"learning_rate": 0.5}}), "test")
    assert settings.fit("fwfm").learning_rate == 0.5
    assert settings.fit("fwfm").max_epochs == settings.fit("crossnet").max_epochs == 3
    assert settings.fit("crossnet").learning_rate == 0.1


BAD = [
    ({"fitt": {}}, r"section \[fitt\] is unknown; did you mean 'fit'"),
    ({"models": {"crossnt": {}}}, r"\[models.crossnt\] model 'crossnt' is unknown.*did you mean 'crossnet'"),
    ({"models": {"crossnet": {"layer": 2}}}, r"\[models.crossnet\] key 'layer' is unknown; did you mean 'layers'"),
    ({"fits": {"crosnet": {}}}, r"\[fits.crosnet\]: there is no \[models.crosnet\]; did you mean 'crossnet'"),
    ({"fits": {"crossnet": {"patience": 0}}}, r"\[fits.crossnet\] patience is 0"),
    ({"fits": {"crossnet": {"patiense": 1}}}, r"\[fits.crossnet\] key 'patiense' is unknown; did you mean 'patience'"),
    ({"study": {"name": "x"}}, r"\[study\] key 'seeds' is missing"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_mistakes_are_told_with_section_key_and_the_nearest(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings_of(raw(**changes), "test")


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_of_the_project_has_what_all_tables_take(path: Path) -> None:
    tables = tables_of(load_settings(path), [])
    assert [table.name for table in tables] == list(TABLES)
    for table in tables:
        labels = [row.label for row in table.rows]
        assert len(labels) == len(set(labels)), table.name
        assert {row.against for row in table.rows} - {None} <= set(labels), table.name


def test_a_table_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match=r"--only table9: no such table.*'table3'"):
        tables_of(settings_of(raw(), "test"), ["table9"])
