"""Parity: an exported graph must give the trained model's logits, for one candidate, two, and many."""

from __future__ import annotations

import numpy as np
import torch

from service.bundle import Ids
from service.scoring import TOLERANCE, Logits, Scorer
from training.models.base import CTRModel

SIZES = (1, 2, 257)
"""Candidates per request that are compared; 1 and 2 catch squeezed axes, 257 every blocked loop's remainder."""


class ParityError(ValueError):
    """An exported graph does not compute what the model computes."""


@torch.inference_mode()
def model_logits(model: CTRModel, context_ids: Ids, candidate_ids: Ids) -> Logits:
    """The trained model's own logits [N] for one context [1, Fc] and candidates [N, Ff]."""
    repeated_NF = np.repeat(context_ids, len(candidate_ids), axis=0)
    ids_NF = torch.from_numpy(np.concatenate([repeated_NF, candidate_ids], axis=1))
    logits_N: Logits = model.eval()(ids_NF).numpy()
    return logits_N


def random_ids(sizes: list[int], rows: int, seed: int) -> Ids:
    """Ids [rows, len(sizes)], uniform over every field's table, padding and unknown included."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, sizes, (rows, len(sizes))).astype(np.int32)


def check_parity(model: CTRModel, scorer: Scorer, context_fields: int, form: str) -> float:
    """Largest gap |torch - scorer| over random requests of every size.

    Raises:
        ParityError: the gap exceeds TOLERANCE, or a logit is not finite; names form, N and gap.
    """
    sizes = model.embedding.sizes
    largest = 0.0
    for rows in SIZES:
        context_ids = random_ids(sizes[:context_fields], 1, seed=rows)
        candidate_ids = random_ids(sizes[context_fields:], rows, seed=rows)
        expected_N = model_logits(model, context_ids, candidate_ids)
        gap = float(np.abs(expected_N - scorer.score(context_ids, candidate_ids)).max())
        if not gap <= TOLERANCE:
            raise ParityError(
                f"form {form!r}, N = {rows}: largest gap to torch is {gap:.2e}, expected ≤ {TOLERANCE:.0e}"
            )
        largest = max(largest, gap)
    return largest
