"""A DAGFM's logit split into its terms: what every field adds at every order.

    logit = bias + Σ_t Σ_s terms[t, s]     terms[t, s] = readout[t, s] · Σ_d h^t_s

State h^t_s holds the products of t fields whose last one, in the schema's order, is field s, so a term is what those
interactions add to the logit; where the connection mixes fields, "field s" means s with the earlier fields it takes
in. The split is the model's own sum and exact. Attributions made from outside, like Shapley values or gradients, would
fit any model but only approximate, and cost many runs.

Source: the readout of DAGFM, Tian et al., "Directed Acyclic Graph Factorization Machines for CTR Prediction via
Knowledge Distillation", WSDM 2023; the equations stand in service.bundle.weights.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from service.bundle import EmbeddingTable, Ids, Weights

Doubles = npt.NDArray[np.float64]


class Explainer:
    """Splits the logits of one model, in float64 and by the definition: for people, not for the request path.

    Args:
        weights: of a bundle.
        embedding: of the same bundle.
        sizes: number of ids of each field.
    """

    def __init__(self, weights: Weights, embedding: EmbeddingTable, sizes: list[int]) -> None:
        edge_FF1 = np.triu(np.ones((len(sizes), len(sizes))))[..., None]  # from f to s: f <= s
        self._embedding = embedding
        self._first_F = np.cumsum([0, *sizes[:-1]])
        self._connection_FF = weights.connection_FF.astype(np.float64)
        self._p_LFFD: Doubles = weights.p_LFFD * edge_FF1
        self._q_LFFD: Doubles | None = None if weights.q_LFFD is None else weights.q_LFFD * edge_FF1
        self._readout_TF = weights.readout_TF.astype(np.float64)
        self.bias = float(weights.bias_1[0])
        """What the logit is without any term."""

    @property
    def orders(self) -> list[int]:
        """1 to T, the orders of the terms."""
        return list(range(1, len(self._readout_TF) + 1))

    def terms(self, context_ids: Ids, candidate_ids: Ids) -> Doubles:
        """Terms [N, T, F] of candidates [N, Ff] in the context [1, Fc]; bias + their sum is the logit."""
        rows = len(candidate_ids)
        ids_NF = np.hstack([np.repeat(context_ids, rows, axis=0), candidate_ids])
        base_NFD: Doubles = self._connection_FF @ self._gather(ids_NF + self._first_F)
        states = [base_NFD]
        for layer in range(len(self._p_LFFD)):
            states.append(base_NFD * self._messages(layer, states[-1]))
        sums_NTF = np.stack([state_NFD.sum(axis=2) for state_NFD in states], axis=1)
        terms_NTF: Doubles = sums_NTF * self._readout_TF
        return terms_NTF

    def _gather(self, rows_NF: npt.NDArray[np.int64]) -> Doubles:
        """Embeddings [N, F, D], rounded to float32 where a scorer rounds them."""
        table = self._embedding
        gathered_NFD = table.rows_VD[rows_NF].astype(np.float32)
        if table.scale_V1 is not None:
            gathered_NFD *= table.scale_V1[rows_NF]
        doubles_NFD: Doubles = gathered_NFD.astype(np.float64)
        return doubles_NFD

    def _messages(self, layer: int, state_NFD: Doubles) -> Doubles:
        """What every field receives [N, F, D]: inner Σ_f h_f ⊙ p[f, s], outer Σ_f ⟨h_f, p[f, s]⟩ · q[f, s]."""
        p_FSD = self._p_LFFD[layer]
        if self._q_LFFD is None:
            inner_NSD: Doubles = np.einsum("nfd,fsd->nsd", state_NFD, p_FSD)
            return inner_NSD
        products_NFS = np.einsum("nfd,fsd->nfs", state_NFD, p_FSD)
        outer_NSD: Doubles = np.einsum("nfs,fsd->nsd", products_NFS, self._q_LFFD[layer])
        return outer_NSD


def explainer_of(weights: Weights | None, embedding: EmbeddingTable | None, sizes: list[int]) -> Explainer | None:
    """The explainer of a bundle; None for a model whose logit does not split: it is no DAGFM with weights."""
    if weights is None or embedding is None:
        return None
    return Explainer(weights, embedding, sizes)
