import torch

from training.layers.embedding import FieldEmbedding

SIZES = [3, 5, 2]


def test_every_field_reads_its_own_rows_of_the_fused_table() -> None:
    embedding = FieldEmbedding(SIZES, dimension=4)
    ids_BF = torch.tensor([[0, 0, 0], [2, 4, 1]], dtype=torch.int32)
    rows = torch.tensor([[0, 3, 8], [2, 7, 9]])
    torch.testing.assert_close(embedding(ids_BF), embedding.weight_VD[rows])


def test_uses_are_counted_per_row_of_the_table() -> None:
    embedding = FieldEmbedding(SIZES, dimension=4)
    ids_NF = torch.tensor([[2, 0, 1], [2, 4, 1]], dtype=torch.int32)
    assert embedding.count_uses(ids_NF).tolist() == [0, 0, 2, 1, 0, 0, 0, 1, 0, 2]


def test_untrained_ids_get_the_mean_of_their_field_weighted_by_use() -> None:
    embedding = FieldEmbedding(SIZES, dimension=4)
    before_VD = embedding.weight_VD.detach().clone()
    seen_V = torch.tensor([0, 1, 3, 0, 0, 0, 0, 2, 0, 0])
    assert embedding.fill_untrained(seen_V) == 5
    after_VD = embedding.weight_VD.detach()
    torch.testing.assert_close(after_VD[0], (before_VD[1] + 3 * before_VD[2]) / 4)
    torch.testing.assert_close(after_VD[3:7], before_VD[7].expand(4, -1))
    torch.testing.assert_close(after_VD[[1, 2, 7]], before_VD[[1, 2, 7]])


def test_a_field_training_never_used_is_left_alone() -> None:
    embedding = FieldEmbedding(SIZES, dimension=4)
    before_VD = embedding.weight_VD.detach().clone()
    assert embedding.fill_untrained(torch.tensor([1, 1, 1, 1, 1, 1, 1, 1, 0, 0])) == 0
    torch.testing.assert_close(embedding.weight_VD.detach(), before_VD)
