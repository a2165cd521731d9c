"""Fine-tune: the distilled student trains on clicks alone, all its weights free, embeddings too (KD-DAGFM_FT)."""

from __future__ import annotations

from training.checkpoint import Trained
from training.data.batches import TensorRows
from training.data.prepare import Prepared
from training.loop import Objective
from training.models.base import CTRModel
from training.run import Run, train_phase
from training.teach import click_objective


def finetune(run: Run, distilled: Trained) -> Trained:
    """The run's student after fine-tuning, starting from `distilled`."""

    def start(_prepared: Prepared, train: TensorRows, validation: TensorRows) -> tuple[CTRModel, Objective]:
        return distilled.model.train(), click_objective(train, validation)

    lineage = {"distilled": distilled.digest, "teacher": distilled.meta["teacher"]}
    return train_phase(run, "finetune", run.config.finetune, start, lineage)
