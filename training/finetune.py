"""Fine-tune: the distilled student trains on clicks alone, all its weights free, embeddings too (KD-DAGFM_FT)."""

from __future__ import annotations

from training.checkpoint import Trained
from training.data.prepare import Prepared
from training.lessons import click_lesson
from training.phase import Lesson
from training.run import Run, rows_of, train_phase


def finetune(run: Run, distilled: Trained) -> Trained:
    """The run's student after fine-tuning, starting from `distilled`."""

    def begin(prepared: Prepared) -> Lesson:
        return click_lesson(distilled.model.train(), *rows_of(prepared))

    lineage = {"distilled": distilled.digest, "teacher": distilled.meta["teacher"]}
    return train_phase(run, "finetune", run.config.finetune, begin, lineage)
