"""Scoring: ids in, logits out. Every model is an `OnnxScorer`; other scorers prove themselves against it."""

from service.scoring.choice import Choice, Wanted, agree, choose_scorer
from service.scoring.native_scorer import NativeScorer, NotBuiltError
from service.scoring.onnx_scorer import OnnxScorer
from service.scoring.scorer import TOLERANCE, Logits, Scorer, ScorerFactory, prove
from service.scoring.sized_scorer import SizedScorer, by_size, graph_scorers

__all__ = [
    "TOLERANCE",
    "Choice",
    "Logits",
    "NativeScorer",
    "NotBuiltError",
    "OnnxScorer",
    "Scorer",
    "ScorerFactory",
    "SizedScorer",
    "Wanted",
    "agree",
    "by_size",
    "choose_scorer",
    "graph_scorers",
    "prove",
]
