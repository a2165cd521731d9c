"""Recombined rows: contexts of some rows with candidates of others, for a teacher to judge. They have no click.

Distillation needs no labels, so the student can learn the teacher's function where no training row is. An addition of
this project; neither paper does it. Both halves are seen in training, only their pairing is new.
"""

from __future__ import annotations

import torch

from training.data.batches import TensorRows
from training.sections import ConfigError


def recombined(train: TensorRows, context_fields: int, rows: int, seed: int) -> TensorRows:
    """`rows` rows without a click (NaN): the first `context_fields` ids of one row, the others of another.

    Raises:
        ConfigError: the rows have no context fields, or no candidate fields, to recombine.
    """
    fields = train.ids_NF.shape[1]
    if not 0 < context_fields < fields:
        raise ConfigError(
            f"recombined_rows is {rows}, but the schema has {context_fields} context fields of {fields}; recombining "
            "needs context fields and candidate fields: set it to 0"
        )
    generator = torch.Generator().manual_seed(seed)
    contexts_R, candidates_R = torch.randint(len(train), (2, rows), generator=generator)
    halves = (train.ids_NF[contexts_R, :context_fields], train.ids_NF[candidates_R, context_fields:])
    return TensorRows(torch.cat(halves, dim=1), torch.full((rows,), torch.nan))
