"""A run directory: one resolved configuration and everything made from it.

config.toml          the resolved configuration
data/                what prepare wrote
teach/ distill/ finetune/     last.safetensors (to resume), model.safetensors, metrics.jsonl, curves.png
teach-NAME/          the same, for each of several teachers
distill/NAME.safetensors      a teacher that learned along with the student
teacher_logits/      what the teachers say of the rows
test.json            the test split, read once for these checkpoints
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from service.bundle import replace_file
from training.checkpoint import Trained, load_model
from training.config import Config, ConfigError, Data, FitOptions, TeacherConfig, load
from training.data.batches import TensorRows
from training.data.datasets import DATA_SETS
from training.data.prepare import Prepared, open_prepared, prepare
from training.phase import Lesson, Phase, train
from training.progress import console, working

PHASES = ("teach", "distill", "finetune")
"""Of a run with one teacher of its own."""


@dataclass(frozen=True)
class Run:
    """One run on disk."""

    directory: Path
    config: Config

    @classmethod
    def open(cls, root: Path, config: Config) -> Run:
        """The run of this configuration under `root`, made or continued; another run is never written over."""
        directory = root / config.run.name
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / "config.toml"
        if path.exists() and load(path) != config:
            raise ConfigError(
                f"{path}: this directory belongs to a run with another configuration; give the new one its own "
                "[run] name, or remove the directory"
            )
        if not path.exists():
            replace_file(path, config.to_toml().encode())
        return cls(directory, config)

    @classmethod
    def existing(cls, directory: Path) -> Run:
        """A run made before; raises ConfigError if there is none."""
        path = directory / "config.toml"
        if not path.exists():
            raise ConfigError(f"{path}: not found; expected a run directory made by `python -m training run`")
        return cls(directory, load(path))

    def prepare(self, source: Path | None) -> Prepared:
        """Encode the run's data set once; later calls open what is there."""
        return prepare_once(self.directory / "data", self.config.data, source)

    @property
    def own_teachers(self) -> tuple[TeacherConfig, ...]:
        """The teachers that the run trains; others come from elsewhere."""
        return tuple(teacher for teacher in self.config.teachers if teacher.model is not None)

    def teach_phase(self, teacher: str) -> str:
        """The phase of a teacher: `teach`, or `teach-NAME` where they have names."""
        return f"teach-{teacher}" if self.config.ensemble else "teach"

    @property
    def phases(self) -> tuple[str, ...]:
        """All phases with a model at their end, in order."""
        after = ("distill", "finetune") if self.config.run.finetune else ("distill",)
        return (*(self.teach_phase(teacher.name) for teacher in self.own_teachers), *after)

    def checkpoint(self, phase: str) -> Path:
        """Where a phase's finished model stands; that of a teacher that learned along, beside its student's."""
        if self.config.distill.scheme == "co_train":
            for teacher in self.own_teachers:
                if phase == self.teach_phase(teacher.name):
                    return self.directory / "distill" / f"{teacher.name}.safetensors"
        return self.directory / phase / "model.safetensors"

    def taught(self) -> dict[str, Trained]:
        """The finished models of the teachers that are trained before the student, by name; raises CheckpointError."""
        if self.config.distill.scheme == "co_train":
            return {}
        return {teacher.name: self.load(self.teach_phase(teacher.name)) for teacher in self.own_teachers}

    def load(self, phase: str) -> Trained:
        """A phase's finished model; raises CheckpointError."""
        return load_model(self.checkpoint(phase), open_prepared(self.directory / "data"))


def prepare_once(folder: Path, data: Data, source: Path | None) -> Prepared:
    """Encode a data set into `folder`, or open what is there."""
    if (folder / "prepared.json").exists():
        prepared = open_prepared(folder)
        if source is not None:
            console.print(f"data prepared before, not read again; to read {source} anew, remove {folder}")
        return prepared
    with working(f"prepare {data.name}: read"):
        log = DATA_SETS[data.name].read(data.options, source)
    with working(f"prepare {data.name}: encode {len(log.clicks_N):,} rows"):
        return prepare(log, folder)


Begin = Callable[[Prepared], Lesson]
"""The run's data → what a phase trains."""


def train_phase(
    run: Run, name: str, options: FitOptions, begin: Begin, lineage: Mapping[str, str], *, seed: int | None = None
) -> Trained:
    """Run one phase of a run to its end, or load it if it ended before.

    Args:
        run: the run; its data are prepared.
        name: names the phase and its folder.
        options: how to fit.
        begin: makes the model and its objective, once the rows are read.
        lineage: what the phase started from, kept in the checkpoint.
        seed: orders the batches; None: the run's.
    """
    prepared = open_prepared(run.directory / "data")
    phase = Phase(
        name=name,
        folder=run.directory / name,
        options=options,
        seed=run.config.run.seed if seed is None else seed,
        lineage=lineage,
        meta={"config": run.config.to_dict()},
        title=f"{run.config.run.name}: {name}",
    )
    return train(phase, prepared, lambda: begin(prepared))


def rows_of(prepared: Prepared) -> tuple[TensorRows, TensorRows]:
    """Training and validation rows, read into memory."""
    return TensorRows.of(prepared.rows("train")), TensorRows.of(prepared.rows("validation"))
