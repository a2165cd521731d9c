import pytest
import torch

from training.data.batches import TensorRows
from training.data.recombine import recombined
from training.sections import ConfigError

IDS_NF = torch.tensor([[i, 10 + i, 20 + i, 30 + i, 40 + i] for i in range(9)], dtype=torch.int32)
TRAIN = TensorRows(IDS_NF, torch.ones(9))


def test_a_recombined_row_has_one_rows_context_and_anothers_candidate_and_no_click() -> None:
    made = recombined(TRAIN, 2, 200, seed=0)
    contexts, candidates = made.ids_NF[:, 0], made.ids_NF[:, 2] - 20
    assert torch.equal(made.ids_NF[:, :2], IDS_NF[contexts.long(), :2])
    assert torch.equal(made.ids_NF[:, 2:], IDS_NF[candidates.long(), 2:])
    assert set(contexts.tolist()) == set(candidates.tolist()) == set(range(9))
    assert (contexts != candidates).float().mean() > 0.5
    assert made.clicks_N.isnan().all()


def test_the_seed_decides_the_pairs() -> None:
    first, again, other = (recombined(TRAIN, 2, 50, seed=seed).ids_NF for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("context_fields", [0, 5])
def test_rows_without_context_or_without_candidate_cannot_be_recombined(context_fields: int) -> None:
    with pytest.raises(ConfigError, match=f"the schema has {context_fields} context fields of 5"):
        recombined(TRAIN, context_fields, 10, seed=0)
