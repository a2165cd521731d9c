"""GraphFM: factorization machines on a graph of fields whose edges are selected, layer by layer.

    h^0 = e,   h^{t+1} from h^t                          layers/neighbourhood.py, layers/fm_aggregation.py
    logit = w · mean over the fields of [h^1 ‖ … ‖ h^l] + b

Paper: GraphFM: Graph Factorization Machines for Feature Interaction Modeling (Li, Wu, Su, Cui, Zhang, Wang, 2021;
Machine Intelligence Research 2025). Cost per row: what the two layers' files say, summed, then 2·l·H for mean and
readout with H = heads · attention size. Every pair is scored and summed, so that selecting few neighbours saves no
multiplication: KD-DAGFM's Table 3 has it dear for that reason (its 1193.74M come from widths it does not give).

Variants: the neighbours of a node are, as in the authors' program, chosen per row and layer from all fields, itself
among them; that what is not chosen has no weight at all is the text's. The program is followed where the text leaves
it open: projections per field, residual, normalisation, mean over fields.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field as Option
from pydantic import PositiveInt
from torch import Tensor, nn

from training.layers.fm_aggregation import FMAggregation
from training.layers.neighbourhood import Neighbourhood
from training.layers.readout import Readout, full_precision
from training.models.base import CTRModel, ModelOptions
from training.models.registry import register


class GraphFMOptions(ModelOptions):
    """Options of GraphFM."""

    neighbours: tuple[PositiveInt, ...] = Option(min_length=1, examples=[(3, 2)])
    """How many nodes a node listens to in each layer, no more than there are fields."""
    heads: int = Option(ge=1, examples=[2])
    """Heads of the attention over neighbours."""
    attention_size: int = Option(ge=1, examples=[3])
    """Numbers per field and head; a state has heads times as many."""
    selection_size: int = Option(default=16, ge=1, examples=[5])
    """Hidden units of the score that selects neighbours."""


@register("graphfm")
class GraphFM(CTRModel):
    """A linear unit reads the states of all layers, averaged over the fields."""

    Options = GraphFMOptions

    def __init__(self, sizes: Sequence[int], options: GraphFMOptions) -> None:
        if max(options.neighbours) > len(sizes):
            raise ValueError(
                f"graphfm: neighbours is {options.neighbours}, expected none above {len(sizes)}, the number of fields"
            )
        super().__init__(sizes, options)
        state = options.heads * options.attention_size
        widths = [options.embedding_size] + [state] * (len(options.neighbours) - 1)
        self.neighbourhoods = nn.ModuleList(
            Neighbourhood(self.fields, width, neighbours, options.heads, options.selection_size)
            for width, neighbours in zip(widths, options.neighbours, strict=True)
        )
        self.aggregations = nn.ModuleList(
            FMAggregation(self.fields, width, options.heads, options.attention_size) for width in widths
        )
        self.readout = Readout(len(widths) * state, 1)
        nn.init.xavier_normal_(self.readout.weight)
        nn.init.zeros_(self.readout.bias)

    def interact(self, embedded_BFD: Tensor) -> Tensor:
        """Logits [B]. Rounded to bfloat16 states would choose other neighbours, and most time goes to pairs anyway."""
        state_BFX, means = embedded_BFD, []
        with full_precision():
            for neighbourhood, aggregation in zip(self.neighbourhoods, self.aggregations, strict=True):
                state_BFX = aggregation(state_BFX, neighbourhood(state_BFX))
                means.append(state_BFX.mean(1))
        logits_B1: Tensor = self.readout(torch.cat(means, dim=1))
        return logits_B1[:, 0]

    def hint_unit(self) -> nn.Linear:
        """Reads the averaged states."""
        return self.readout

    @property
    def parts(self) -> list[Neighbourhood | FMAggregation]:
        """Both parts of every layer."""
        found = [*self.neighbourhoods, *self.aggregations]
        return [part for part in found if isinstance(part, Neighbourhood | FMAggregation)]

    def flops(self) -> int:
        """The layers, the means, the readout."""
        return sum(part.multiplications() for part in self.parts) + 2 * self.readout.in_features

    def interaction_parameters(self) -> int:
        """The layers and the readout."""
        return sum(part.parameter_count() for part in self.parts) + self.readout.in_features + 1
