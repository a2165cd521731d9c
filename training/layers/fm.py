"""The sum of all pairs' inner products, in linear time.

    Σ_{i<j} ⟨e_i, e_j⟩ = ½ Σ_d ((Σ_i e_id)² - Σ_i e_id²)

Cost per row: (F + 1)·D squares and the halving, instead of D·F(F-1)/2 products. Source: Rendle, Factorization Machines
(ICDM 2010), Lemma 3.1.
"""

from __future__ import annotations

from torch import Tensor


def pairwise_products(embedded_BFD: Tensor) -> Tensor:
    """Σ_{i<j} ⟨e_i, e_j⟩ of each row, [B]."""
    sum_BD = embedded_BFD.sum(1)
    of_the_sum_B, of_each_B = (sum_BD * sum_BD).sum(1), (embedded_BFD * embedded_BFD).sum((1, 2))
    return (of_the_sum_B - of_each_B) / 2


def multiplications(fields: int, dimension: int) -> int:
    """(F + 1)·D + 1."""
    return (fields + 1) * dimension + 1
