"""[[teachers]]: what they may be, and what is said where they cannot."""

from pathlib import Path
from typing import Any

import pytest

from training.config import ConfigError, from_dict, load
from training.config_teachers import BundleSource, ColumnSource, OnnxSource, OwnSource, RunSource


def raw(*teachers: dict[str, Any], **distill: Any) -> dict[str, Any]:
    """movielens.toml with these in the place of its teacher."""
    config = load(Path("training/configs/movielens.toml")).to_dict()
    del config["teacher"]
    config["distill"] |= {"embeddings": "own", **distill}
    return {**config, "teachers": list(teachers)}


CROSS = {"name": "cross", "model": "crossnet", "embedding_size": 16, "layers": 3}
EVERY_KIND = [
    CROSS,
    {"name": "fold", "model": "cin", "embedding_size": 8, "maps": [5], "partition": [2, 9], "seed": 77},
    {"name": "old", "run": "runs/old"},
    {"name": "live", "bundle": "bundles/teacher"},
    {"name": "foreign", "onnx": "x.onnx", "output": "probabilities"},
    {"name": "trees", "column": "trees"},
]


def test_every_kind_of_teacher_is_read_and_read_back() -> None:
    config = from_dict(raw(*EVERY_KIND), "run.toml")
    kinds = [type(teacher.source) for teacher in config.teachers]
    assert kinds == [OwnSource, OwnSource, RunSource, BundleSource, OnnxSource, ColumnSource]
    assert [teacher.fold is not None for teacher in config.teachers[:2]] == [False, True]
    assert from_dict(config.to_dict(), "resolved") == config


def test_a_teacher_may_be_trained_in_its_own_way() -> None:
    config = from_dict(raw(CROSS, {**CROSS, "name": "slow", "teach": {"learning_rate": 1e-5}}), "run.toml")
    quick, slow = (teacher.teach for teacher in config.teachers)
    assert quick is not None
    assert slow == quick.model_copy(update={"learning_rate": 1e-5})


BAD = [
    ([], {}, r"\[\[teachers\]\] is empty"),
    ([CROSS, CROSS], {}, r"\[teachers.cross\] stands twice"),
    ([{"name": "x"}], {}, r"\[teachers.x\] has \['name'\]; expected exactly one of \['model', 'run'"),
    ([{**CROSS, "run": "runs/old"}], {}, r"\[teachers.cross\] has \['model', 'run'\]; expected exactly one"),
    ([{**CROSS, "layer": 3}], {}, r"\[teachers.cross\] key 'layer' is unknown; did you mean 'layers'"),
    ([{**CROSS, "teach": {"patient": 3}}], {}, r"\[teachers.cross.teach\] key 'patient' is unknown; did you mean"),
    ([{**CROSS, "partition": [3, 3]}], {}, r"\[teachers.cross\] partition is \[3, 3\]; expected \[i, k\]"),
    ([{**CROSS, "name": "../x"}], {}, r"\[teachers.../x\] name is '../x'"),
    ([{"name": "x", "onnx": "x.onnx"}], {}, r"\[teachers.x\] key 'output' is missing; it is What its output is"),
    ([{"name": "x", "onnx": "x", "output": "odds"}], {}, r"\[teachers.x\] output is 'odds'"),
    ([CROSS], {"combine": "fixed", "teacher_weights": [1, 2]}, r"teacher_weights has 2 numbers for 1 teachers"),
    ([{"name": "x", "column": "x"}], {"scheme": "co_train"}, r"scheme is 'co_train', but teacher 'x' does not learn"),
    (
        [{**CROSS, "embedding_size": 8}],
        {"embeddings": "teacher_start"},
        r"is 16, \[teachers.cross\] embedding_size is 8",
    ),
    ([CROSS], {"train_on_validation": True, "select": "distillation_loss"}, r"\[finetune\] would select on those rows"),
]


@pytest.mark.parametrize(("teachers", "distill", "message"), BAD)
def test_teachers_that_cannot_be_are_refused(
    teachers: list[dict[str, Any]], distill: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"run.toml: .*{message}"):
        from_dict(raw(*teachers, **distill), "run.toml")


def test_one_teacher_or_several_but_not_both() -> None:
    both = {**raw(CROSS), "teacher": {"model": "crossnet", "embedding_size": 16, "layers": 3}}
    with pytest.raises(ConfigError, match=r"both stand there; expected either \[teacher\] or one \[\[teachers\]\]"):
        from_dict(both, "run.toml")
    neither = raw(CROSS)
    del neither["teachers"]
    with pytest.raises(ConfigError, match=r"section \[teacher\] is missing"):
        from_dict(neither, "run.toml")


def test_a_run_without_fine_tuning_says_so() -> None:
    config = raw(CROSS)
    config["run"]["finetune"] = False
    with pytest.raises(ConfigError, match=r"finetune is false, but section \[finetune\] stands there"):
        from_dict(config, "run.toml")
    del config["finetune"]
    assert from_dict(config, "run.toml").finetune is None


def test_teachers_from_elsewhere_need_no_way_to_be_taught() -> None:
    config = raw({"name": "trees", "column": "trees"})
    del config["teach"]
    assert from_dict(config, "run.toml").teach is None
    config["teachers"] = [CROSS]
    with pytest.raises(ConfigError, match=r"section \[teach\] is missing; teacher 'cross' is trained by this run"):
        from_dict(config, "run.toml")
