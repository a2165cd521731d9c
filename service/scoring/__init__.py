"""Scoring: ids in, logits out. Every model is an `OnnxScorer`; other scorers prove themselves against it."""

from service.scoring.choice import Choice, Wanted, choose_scorer
from service.scoring.native_scorer import NativeScorer, NotBuiltError
from service.scoring.onnx_scorer import OnnxScorer
from service.scoring.scorer import TOLERANCE, Logits, Scorer, ScorerFactory, prove

__all__ = [
    "TOLERANCE",
    "Choice",
    "Logits",
    "NativeScorer",
    "NotBuiltError",
    "OnnxScorer",
    "Scorer",
    "ScorerFactory",
    "Wanted",
    "choose_scorer",
    "prove",
]
