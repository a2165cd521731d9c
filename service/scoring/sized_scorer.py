"""SizedScorer: two graphs of one model, the one for small requests and the one for all others.

No serving form is the fastest at every N: computing the context once costs a few more operators than one row does.
"""

from __future__ import annotations

from service.bundle import Bundle, Ids
from service.scoring.scorer import Logits, Scorer, ScorerFactory


class SizedScorer:
    """Requests of up to `small_up_to` candidates go to `small`, larger ones to `large`."""

    def __init__(self, large: Scorer, small: Scorer, small_up_to: int) -> None:
        self.name = large.name
        self._large, self._small, self._small_up_to = large, small, small_up_to

    def score(self, context_ids: Ids, candidate_ids: Ids) -> Logits:
        """Logits [N] float32 of candidates [N, Ff] int32 in the context [1, Fc] int32."""
        scorer = self._small if len(candidate_ids) <= self._small_up_to else self._large
        return scorer.score(context_ids, candidate_ids)


def graph_scorers(bundle: Bundle, factory: ScorerFactory) -> list[Scorer]:
    """A scorer of model.onnx and, where there is one, of model_small.onnx, on one embedding table.

    Raises:
        BundleError: a graph cannot be run.
    """
    graphs = [bundle.model_onnx] + ([] if bundle.model_small_onnx is None else [bundle.model_small_onnx])
    return [factory(graph, bundle.embedding) for graph in graphs]


def by_size(scorers: list[Scorer], small_up_to: int) -> Scorer:
    """What answers requests of any size, of one scorer or of a large and a small one."""
    return scorers[0] if len(scorers) == 1 else SizedScorer(scorers[0], scorers[1], small_up_to)
