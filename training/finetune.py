"""Fine-tune: the distilled student trains on clicks alone, all its weights free, embeddings too (KD-DAGFM_FT)."""

from __future__ import annotations

from training.checkpoint import Trained
from training.data.prepare import Prepared
from training.lessons import click_lesson
from training.phase import Lesson
from training.run import Run, rows_of, train_phase
from training.sections import ConfigError


def finetune(run: Run, distilled: Trained) -> Trained:
    """The run's student after fine-tuning, starting from `distilled`; raises ConfigError if the run has none."""
    if run.config.finetune is None:
        raise ConfigError(f"{run.directory}: [run] finetune is false: the run ends with the distilled student")

    def begin(prepared: Prepared) -> Lesson:
        return click_lesson(distilled.model.train(), *rows_of(prepared))

    teachers = {key: digest for key, digest in distilled.meta.items() if key.split("-")[0] == "teacher"}
    return train_phase(run, "finetune", run.config.finetune, begin, {"distilled": distilled.digest, **teachers})
