"""Serving forms: equivalent ways to compute one trained model for one context and N candidates.

    forward(context_ids [1, Fc], candidate_ids [N, Ff]) → logits [N]

Every model has the full-row form: the context is repeated for each candidate. A DAGFM whose connection keeps context
nodes free of candidates also has the context-once form. Weights are folded here (masks, kernels, the readout), so that
the graph holds only what a request needs. All forms are exact; the exporter checks each and keeps the fastest.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from export.table import TablePart
from training.layers.embedding import FieldEmbedding
from training.layers.propagation import InnerPropagation, Propagation
from training.models.base import CTRModel
from training.models.dagfm import DAGFM


class FullRows(nn.Module):
    """The model itself on [context, candidate] rows."""

    def __init__(self, model: CTRModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, context_ids: Tensor, candidate_ids: Tensor) -> Tensor:
        """Logits [N]."""
        repeated_NF = context_ids.expand(candidate_ids.shape[0], -1)
        logits_N: Tensor = self.model(torch.cat([repeated_NF, candidate_ids], dim=1))
        return logits_N


class ContextOnce(nn.Module):
    """A DAGFM with everything that depends on the context alone computed once per request.

    Context fields come first and edges run from lower to higher field, so with c the context and x the candidate
    nodes the kernel K of a layer is [[K_cc, K_cx], [0, K_xx]] and the connection C is [[C_cc, 0], [C_xc, C_xx]]:

        h_c^1 = C_cc e_c                h_c' = h_c^1 ⊙ K_ccᵀ h_c                        once, [Fc·D, 1]
        h_x^1 = C_xc e_c + C_xx e_x     h_x' = h_x^1 ⊙ (K_cxᵀ h_c + K_xxᵀ h_x)          [Fx·D, N], K_cxᵀ h_c once
        logit = Σ_t (w_c^t · h_c^t) + b + Σ_t (w_x^t · h_x^t)                           the context's part once

    Candidates are the last axis, weights stand on the left: every product has N columns, the readout too, whose
    weights are repeated per dimension so that the sum over d is part of it. Exact, not an approximation.

    Args:
        model: its connection must not mix candidates into the context.
        context_fields: Fc ≥ 1.
        dense: send messages as one matrix product over fields and dimensions, or in the layer's own way.
    """

    def __init__(self, model: DAGFM, context_fields: int, *, dense: bool) -> None:
        super().__init__()
        context, candidate = slice(0, context_fields), slice(context_fields, model.fields)
        self.dimension = model.embedding.dimension
        self.context_embedding = _cut(model.embedding, context)
        self.candidate_embedding = _cut(model.embedding, candidate)
        self.connect_cc, self.connect_xc, self.connect_xx = (
            self._mixing(model.connection()[targets, sources])
            for targets, sources in ((context, context), (candidate, context), (candidate, candidate))
        )
        self.layers = nn.ModuleList(
            SplitPropagation(layer, context, candidate, dense=dense) for layer in model.propagations
        )
        weights_TFD = model.readout.weight.view(len(model.layers) + 1, model.fields, 1).expand(-1, -1, self.dimension)
        self.readout_c = _fixed(weights_TFD[:, context].reshape(1, -1))
        self.readout_x = _fixed(weights_TFD[:, candidate].reshape(1, -1))
        self.bias = _fixed(model.readout.bias)

    def forward(self, context_ids: Tensor, candidate_ids: Tensor) -> Tensor:
        """Logits [N]."""
        embedded_c = self.context_embedding(context_ids).flatten(1).T
        embedded_x = self.candidate_embedding(candidate_ids).flatten(1).T
        base_c = state_c = self.connect_cc @ embedded_c
        base_x = state_x = self.connect_xc @ embedded_c + self.connect_xx @ embedded_x
        states_c, states_x = [state_c], [state_x]
        for layer in self.layers:
            state_c, state_x = layer(state_c, base_c, state_x, base_x)
            states_c.append(state_c)
            states_x.append(state_x)
        context_logit = self.readout_c @ torch.cat(states_c) + self.bias
        logits_1N = self.readout_x @ torch.cat(states_x) + context_logit
        return logits_1N[0]

    def _mixing(self, connection_SF: Tensor) -> nn.Parameter:
        """C[s, f] as a matrix [S·D, F·D] on flat embeddings."""
        return _fixed(torch.kron(connection_SF.contiguous(), torch.eye(self.dimension)))


class SplitPropagation(nn.Module):
    """One layer on context states [Fc·D, 1] and candidate states [Fx·D, N]."""

    def __init__(self, layer: Propagation, context: slice, candidate: slice, *, dense: bool) -> None:
        super().__init__()
        self.within_context = Messages(layer, context, context, dense=True)
        self.to_candidates = Messages(layer, context, candidate, dense=True)
        self.among_candidates = Messages(layer, candidate, candidate, dense=dense)

    def forward(self, state_c: Tensor, base_c: Tensor, state_x: Tensor, base_x: Tensor) -> tuple[Tensor, Tensor]:
        """The next states of context and candidates."""
        messages_x = self.to_candidates(state_c) + self.among_candidates(state_x)
        return base_c * self.within_context(state_c), base_x * messages_x


class Messages(nn.Module):
    """Messages of a layer from some nodes to some nodes, on flat states with candidates last: [F·D, N] → [S·D, N].

    `dense` is one product with a matrix [S·D, F·D]. The inner form otherwise takes a product per dimension,
    [D, S, F] @ [D, F, N]: D times less arithmetic in D times smaller products.
    """

    def __init__(self, layer: Propagation, sources: slice, targets: slice, *, dense: bool) -> None:
        super().__init__()
        kernel = layer.block(layer.kernel(), sources, targets)
        self.dense = dense
        self.fields = sources.stop - sources.start
        self.kernel = _fixed(layer.dense(kernel).T if dense else kernel.transpose(1, 2))

    def forward(self, state_XN: Tensor) -> Tensor:
        """Summed messages [S·D, N]."""
        if self.dense:
            return self.kernel @ state_XN
        state_DFN = state_XN.view(self.fields, -1, state_XN.shape[1]).transpose(0, 1)
        return (self.kernel @ state_DFN).transpose(0, 1).flatten(0, 1)


def serving_forms(model: CTRModel, context_fields: int) -> Mapping[str, nn.Module]:
    """Every exact serving form of a model, by name; `full_rows` is always there and is the reference."""
    forms: dict[str, nn.Module] = {"full_rows": FullRows(model)}
    if isinstance(model, DAGFM) and model.connect != "dense" and context_fields > 0:
        forms["context_once"] = ContextOnce(model, context_fields, dense=True)
        if model.propagation is InnerPropagation:
            forms["context_once_per_dimension"] = ContextOnce(model, context_fields, dense=False)
    return {name: form.eval() for name, form in forms.items()}


def _cut(embedding: FieldEmbedding, fields: slice) -> TablePart:
    """Some consecutive fields, read from the one table of all."""
    return TablePart(embedding, fields)


def _fixed(weights: Tensor) -> nn.Parameter:
    """A weight as a constant of its own memory."""
    return nn.Parameter(weights.detach().clone(), requires_grad=False)
