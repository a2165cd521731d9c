from pathlib import Path
from typing import Any

import pytest

from training.config import ConfigError, from_dict, load

CONFIGS = sorted(Path("training/configs").glob("*.toml"))


def raw() -> dict[str, Any]:
    return load(Path("training/configs/movielens.toml")).to_dict()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_of_the_project_loads_and_reads_back(path: Path) -> None:
    config = load(path)
    assert from_dict(config.to_dict(), "resolved") == config
    assert config.run.name == path.stem


BAD = [
    (lambda c: c["teach"].update(batchsize=1), r"\[teach\] key 'batchsize' is unknown; did you mean 'batch_size'"),
    (lambda c: c["teach"].pop("patience"), r"\[teach\] key 'patience' is missing; it is Stop after"),
    (lambda c: c["teach"].update(learning_rate=-1), r"\[teach\] learning_rate is -1: .*greater than 0"),
    (lambda c: c["distill"].update(logit_weight=-0.5), r"\[distill\] logit_weight is -0.5"),
    (
        lambda c: c["teacher"].update(model="crosnet"),
        r"\[teacher\] model 'crosnet' is unknown.*did you mean",
    ),
    (lambda c: c["teacher"].update(depth=3), r"\[teacher\] key 'depth' is unknown"),
    (
        lambda c: c["student"].update(embedding_size=8),
        r"\[student\] embedding_size is 8, \[teacher\].* is 16",
    ),
    (lambda c: c["data"].update(set="netflix"), r"\[data\] set is 'netflix', expected one of"),
    (lambda c: c["run"].update(name="../x"), r"\[run\] name is '../x'"),
    (lambda c: c.update(distil=c.pop("distill")), r"section \[distil\] is unknown; did you mean 'distill'"),
    (lambda c: c.pop("finetune"), r"section \[finetune\] is missing"),
]


@pytest.mark.parametrize(("spoil", "message"), BAD)
def test_a_bad_configuration_is_refused_with_file_section_key_and_what_to_write(spoil: Any, message: str) -> None:
    config = raw()
    spoil(config)
    with pytest.raises(ConfigError, match=f"run.toml: {message}"):
        from_dict(config, "run.toml")


def test_a_file_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"not found; configurations that come with the project: .*movielens\.toml"):
        load(Path("nowhere.toml"))


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("[run\n")
    with pytest.raises(ConfigError, match=r"broken\.toml: not TOML"):
        load(path)
