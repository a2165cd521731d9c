"""FiGNN: the fields of a row as nodes of a complete graph that exchange states for some steps.

    h^1     = self-attention over [e_1, …, e_m]                 layers/attention.py, H = heads · attention size numbers
    A       = attentive edge weights over the embeddings        layers/edge_weights.py, once per row
    h^{t+1} = GRU(a^t, h^t) + h^1,  a^t from A and h^t          layers/graph_step.py; one GRU for all fields and steps
    logit   = Σ_i σ(w_2 · h_i + b_2) · (w_1 · h_i + b_1)        each field's own score, weighted by attention

Paper: Fi-GNN (Li, Cui, Wu, Zhang, Wang, CIKM 2019). Cost per row with m fields, d dimensions, H and p steps:
4·m·d·H + 2m²(H + heads) for the attention, 2·m·d + 3·m(m-1) for A, p·(8·m·H² + m(m-1)·H + 7·m·H) for the steps,
2·m·H + 3m for the readout.

Variants differ; built is the paper's graph (weighted edges, scores per field). The authors' published program sums
over all other nodes without weights, normalises what the attention gives, and reads all states with one linear unit.
Of the known libraries one has no self-attention, another computes every step from h^1. All have, as here, matrices of
their own for each field and step. The GRU is torch's: its reset gate takes effect behind the product with h, not
before it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field as Option
from torch import Tensor, nn

from training.layers.attention import InteractingLayer
from training.layers.edge_weights import EdgeWeights
from training.layers.graph_step import GraphStep
from training.layers.readout import Readout
from training.models.base import CTRModel, ModelOptions
from training.models.registry import register


class FiGNNOptions(ModelOptions):
    """Options of FiGNN."""

    layers: int = Option(ge=1, examples=[2])
    """p, steps in which nodes exchange states."""
    heads: int = Option(ge=1, examples=[2])
    """Heads of the self-attention."""
    attention_size: int = Option(ge=1, examples=[3])
    """Numbers per field and head; a state has heads times as many."""


@register("fignn")
class FiGNN(CTRModel):
    """Every field scores the row from its own state after the last step."""

    Options = FiGNNOptions

    def __init__(self, sizes: Sequence[int], options: FiGNNOptions) -> None:
        if len(sizes) < 2:  # noqa: PLR2004 - a graph's edge has two ends
            raise ValueError(f"fignn: got {len(sizes)} field, expected two or more: a graph of one node has no edges")
        super().__init__(sizes, options)
        self.attention = InteractingLayer(options.embedding_size, options.heads, options.attention_size)
        self.edges = EdgeWeights(self.fields, options.embedding_size)
        self.steps = nn.ModuleList(GraphStep(self.fields, self.attention.width) for _ in range(options.layers))
        self.gru = nn.GRUCell(self.attention.width, self.attention.width)
        self.scores = Readout(self.attention.width, 2)
        nn.init.xavier_normal_(self.scores.weight)
        nn.init.zeros_(self.scores.bias)

    def interact(self, embedded_BFD: Tensor) -> Tensor:
        """Logits [B]."""
        edges_BFF = self.edges(embedded_BFD)
        base_BFH = state_BFH = self.attention(embedded_BFD)
        for step in self.steps:
            arriving_BFH = step(state_BFH, edges_BFF)
            updated_XH = self.gru(arriving_BFH.flatten(0, 1), state_BFH.flatten(0, 1))
            state_BFH = updated_XH.view(base_BFH.shape) + base_BFH
        scores_BF, weights_BF = self.scores(state_BFH).unbind(2)
        logits_B: Tensor = (torch.sigmoid(weights_BF) * scores_BF).sum(1)
        return logits_B

    @property
    def graph_steps(self) -> list[GraphStep]:
        """The p steps."""
        return [step for step in self.steps if isinstance(step, GraphStep)]

    def flops(self) -> int:
        """Attention, A, and what each step and each field's score cost."""
        width = self.attention.width
        gru = 6 * width**2 + 7 * width
        steps = sum(step.multiplications() + self.fields * gru for step in self.graph_steps)
        scores = self.fields * (2 * width + 3)
        return self.attention.multiplications(self.fields) + self.edges.multiplications() + steps + scores

    def interaction_parameters(self) -> int:
        """Attention, the two vectors of A, 2·m·H² + H per step, the GRU's 6·H² + 6·H, two scores."""
        width = self.attention.width
        steps = sum(step.parameter_count() for step in self.graph_steps)
        gru = 6 * (width**2 + width)
        return self.attention.parameter_count() + 2 * self.options.embedding_size + steps + gru + 2 * width + 2
