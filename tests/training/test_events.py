"""Event files, read with the protocol's own classes and a loop of their own."""

import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboardX.crc32c import crc32c
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData
from torch import Tensor

from training.config import FitOptions
from training.data.batches import TensorRows
from training.data.prepare import Prepared
from training.events import FILE, EventLog, describe
from training.loop import fit
from training.models.base import CTRModel
from training.models.registry import build
from training.objective import Objective, click_objective
from training.progress import Progress
from training.run import Run
from training.teach import teach

OPTIONS = FitOptions(
    learning_rate=4e-3,
    weight_decay=0.0,
    batch_size=50,
    max_epochs=3,
    patience=3,
    decay="linear",
    max_steps_per_epoch=40,
)


def masked(data: bytes) -> int:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def read(folder: Path) -> list[Event]:
    """Every event of a file, each checksum checked."""
    content, found = (folder / FILE).read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        payload = content[12 : 12 + length]
        assert struct.unpack("<I", content[8:12]) == (masked(content[:8]),)
        assert struct.unpack("<I", content[12 + length : 16 + length]) == (masked(payload),)
        found.append(Event.FromString(payload))
        content = content[16 + length :]
    return found


def points(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag → (step, value) of every scalar."""
    found: dict[str, list[tuple[int, float]]] = {}
    for event in read(folder):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


@pytest.fixture
def lesson(prepared: Prepared) -> tuple[TensorRows, Objective]:
    rows, validation = TensorRows.of(prepared.rows("train")), TensorRows.of(prepared.rows("validation"))
    return rows, click_objective(rows, validation)


def model_for(prepared: Prepared) -> CTRModel:
    torch.manual_seed(0)
    return build("crossnet", {"embedding_size": 4, "layers": 1}, prepared.encoder.sizes)


def fit_in(folder: Path, prepared: Prepared, lesson: tuple[TensorRows, Objective], **changes: Any) -> Any:
    rows, objective = lesson
    folder.mkdir(exist_ok=True)
    model = model_for(prepared)
    return fit(
        model,
        rows,
        changes.get("objective", objective),
        OPTIONS.model_copy(update=changes.get("options", {})),
        directory=folder,
        seed=0,
        progress=Progress("test"),
    )


def test_loss_and_learning_rate_are_told_every_32_steps_and_metrics_every_epoch(
    prepared: Prepared, lesson: tuple[TensorRows, Objective], tmp_path: Path
) -> None:
    history = fit_in(tmp_path, prepared, lesson)
    told = points(tmp_path)
    assert [step for step, _ in told["train/loss"]] == [32, 40, 72, 80, 112, 120]
    for name, key in (("validation/auc", "validation_auc"), ("train/epoch_loss", "train_loss")):
        assert told[name] == [(40 * (i + 1), pytest.approx(each[key])) for i, each in enumerate(history.epochs)]
    for epoch, mean in enumerate(history.epochs):
        (_, first), (_, second) = told["train/loss"][2 * epoch : 2 * epoch + 2]
        assert (32 * first + 8 * second) / 40 == pytest.approx(mean["train_loss"], rel=1e-5)
    rates = [rate for _, rate in told["train/learning_rate"]]
    assert rates[0] == pytest.approx(4e-3 * (1 - 31 / 120))
    assert rates == sorted(rates, reverse=True)
    assert all(speed > 0 for _, speed in told["train/rows_per_second"])


def test_a_resumed_phase_has_every_point_once_with_the_values_of_one_never_killed(
    prepared: Prepared, lesson: tuple[TensorRows, Objective], tmp_path: Path
) -> None:
    """Killed in the second epoch after points of it were written, as by a kill before the state is saved."""
    fit_in(tmp_path / "undisturbed", prepared, lesson)
    killed = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        fit_in(killed, prepared, lesson, objective=_interrupted(lesson[1], 60))
    log = EventLog(killed, finished=40)
    log.add(72, {"train/loss": 1.0})
    log.flush()
    with (killed / FILE).open("ab") as file:
        file.write(b"half a rec")
    fit_in(killed, prepared, lesson)
    expected, found = points(tmp_path / "undisturbed"), points(killed)
    for told in (expected, found):
        told["train/rows_per_second"] = [(step, 0.0) for step, _ in told["train/rows_per_second"]]
    assert found == expected


def _interrupted(objective: Objective, after: int) -> Objective:
    batches = []

    def loss(model: CTRModel, ids_BF: Tensor, rows_B: Tensor) -> Tensor:
        batches.append(len(rows_B))
        if len(batches) > after:
            raise KeyboardInterrupt
        return objective.loss(model, ids_BF, rows_B)

    return Objective(loss=loss, metrics=objective.metrics, decides="auc")


def test_a_phase_begun_again_from_nothing_keeps_no_old_points(
    prepared: Prepared, lesson: tuple[TensorRows, Objective], tmp_path: Path
) -> None:
    fit_in(tmp_path, prepared, lesson)
    (tmp_path / "last.safetensors").unlink()
    fit_in(tmp_path, prepared, lesson, options={"max_epochs": 1, "patience": 1})
    assert [step for step, _ in points(tmp_path)["train/loss"]] == [32, 40]


def test_a_damaged_record_ends_what_is_kept(tmp_path: Path) -> None:
    log = EventLog(tmp_path, finished=0)
    for step in (1, 2, 3):
        log.add(step, {"train/loss": float(step)})
    log.flush()
    path = tmp_path / FILE
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    EventLog(tmp_path, finished=3)
    assert points(tmp_path) == {"train/loss": [(1, 1.0)]}


def test_a_file_begins_with_its_version_the_config_and_what_phases_are_compared_by(run: Run) -> None:
    teach(run)
    first, text, experiment, session, *_ = read(run.directory / "teach")
    assert first.file_version == "brain.Event:2"
    assert text.summary.value[0].tag == "config/text_summary"
    assert '"learning_rate": 0.003' in text.summary.value[0].tensor.string_val[0].decode()
    told = HParamsPluginData.FromString(session.summary.value[0].metadata.plugin_data.content)
    given = told.session_start_info.hparams
    assert (given["phase"].string_value, given["batch_size"].number_value) == ("teach", 256.0)
    metrics = HParamsPluginData.FromString(experiment.summary.value[0].metadata.plugin_data.content)
    assert [each.name.tag for each in metrics.experiment.metric_infos] == ["validation/auc", "validation/log_loss"]
    assert set(points(run.directory / "teach")) >= {"validation/auc", "validation/log_loss", "train/loss"}


def test_what_a_phase_was_given_is_told_once(tmp_path: Path) -> None:
    describe(tmp_path, {"run": {"name": "x"}}, {"learning_rate": 0.1, "maps": (1, 2), "nothing": None})
    before = (tmp_path / FILE).read_bytes()
    describe(tmp_path, {"run": {"name": "y"}}, {})
    assert (tmp_path / FILE).read_bytes() == before
