from pathlib import Path

import pytest

from tests.training.conftest import tiny_config
from training.config import ConfigError
from training.search.grid import Axis, axes_of, points_of, spelt

RATES = Axis(("finetune.learning_rate",), (1e-3, 2e-3))


def test_values_are_written_as_in_toml_or_as_words() -> None:
    written = ["finetune.learning_rate=1e-3,2e-3", "finetune.decay=none,linear", "teacher.layers=1,2"]
    assert axes_of(None, written) == (
        RATES,
        Axis(("finetune.decay",), ("none", "linear")),
        Axis(("teacher.layers",), (1, 2)),
    )
    assert axes_of(None, ["teacher.maps=[8,8],[16]"]) == (Axis(("teacher.maps",), ([8, 8], [16])),)


def test_a_grid_file_has_a_list_for_every_key(tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(
        '"teacher.embedding_size+student.embedding_size" = [2, 4]\n[finetune]\nlearning_rate = [1e-3, 2e-3]\n'
    )
    joint = Axis(("teacher.embedding_size", "student.embedding_size"), (2, 4))
    assert axes_of(path, ["run.seed=1,2"]) == (joint, RATES, Axis(("run.seed",), (1, 2)))


def test_points_are_all_combinations_and_nothing_else_changes() -> None:
    joint = Axis(("teacher.embedding_size", "student.embedding_size"), (2, 8))
    points = list(points_of(tiny_config(), (joint, RATES)))
    assert [(list(chosen.values())) for chosen, _ in points] == [[2, 1e-3], [2, 2e-3], [8, 1e-3], [8, 2e-3]]
    for chosen, config in points:
        size = chosen[joint.name]
        expected = tiny_config(
            teacher={"embedding_size": size},
            student={"embedding_size": size},
            finetune={"learning_rate": chosen["finetune.learning_rate"]},
        )
        assert config == expected
    assert spelt(points[0][0]) == "teacher.embedding_size+student.embedding_size=2, finetune.learning_rate=0.001"


BAD_AXES = [
    ([], "nothing to search: give --grid GRID.toml or --set"),
    (["finetune.learning_rate"], "expected section.key=value,value"),
    (["learning_rate=1"], r"got 'learning_rate', expected section.key"),
    (["finetune.learning_rate="], "has no values, or an empty one"),
    (["finetune.learning_rate=1e-3,1e-3"], "has a value twice"),
    (["run.seed=1", "run.seed=2"], "run.seed is given more than once"),
    (["run.name=a,b"], "run.name is no setting to try"),
]


@pytest.mark.parametrize(("settings", "message"), BAD_AXES)
def test_a_bad_axis_is_refused_with_what_to_write(settings: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        axes_of(None, settings)


BAD_POINTS = [
    (Axis(("finetun.learning_rate",), (1,)), r"section of 'finetun.learning_rate' is unknown; did you mean 'finetune'"),
    (Axis(("finetune.lerning_rate",), (1,)), r"grid point .*\[finetune\] key 'lerning_rate' is unknown; did you mean"),
    (Axis(("finetune.learning_rate",), (1.0, -1.0)), r"grid point finetune.learning_rate=-1.0: .* is -1"),
    (Axis(("student.embedding_size",), (8,)), "must be equal"),
]


@pytest.mark.parametrize(("axis", "message"), BAD_POINTS)
def test_a_point_that_is_no_configuration_is_refused_and_named(axis: Axis, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        list(points_of(tiny_config(), (axis,)))


@pytest.mark.parametrize(
    ("text", "message"), [("[finetune]\nlearning_rate = 1\n", "expected a list"), ("[", "not TOML")]
)
def test_a_bad_grid_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        axes_of(path, [])
    with pytest.raises(ConfigError, match="not found"):
        axes_of(tmp_path / "none.toml", [])
