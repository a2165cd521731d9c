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
    (
        lambda c: c["distill"].update(logit_weight=0),
        r"\[distill\] logit_weight, soft_label_weight and hint_weight are all 0; expected",
    ),
    (
        lambda c: c["distill"].update(temperatur=2),
        r"\[distill\] key 'temperatur' is unknown; did you mean 'temperature'",
    ),
    (lambda c: c["distill"].update(temperature=0), r"\[distill\] temperature is 0: .*greater than 0"),
    (lambda c: c["distill"].update(recombined_rows=-1), r"\[distill\] recombined_rows is -1"),
    (lambda c: c["distill"].update(combine="mean"), r"\[distill\] combine is 'mean': .*'average', 'fixed' or 'gate'"),
    (
        lambda c: c["distill"].update(combine="fixed"),
        r"\[distill\] teacher_weights is \[\], combine is 'fixed'; expected",
    ),
    (
        lambda c: c["distill"].update(combine="fixed", teacher_weights=[1, 0]),
        r"\[distill\] teacher_weights is \[1.0, 0.0\]; expected numbers above 0",
    ),
    (lambda c: c["distill"].update(gate_click_weight=1), r"\[distill\] gate_click_weight is 1.0, combine is 'average'"),
    (
        lambda c: c["distill"].update(train_on_validation=True, select="auc"),
        r"\[distill\] select is 'auc', but train_on_validation is true",
    ),
    (lambda c: c["distill"].update(scheme="co_train"), r"\[distill\] embeddings is 'teacher_frozen', but .*'own'"),
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
