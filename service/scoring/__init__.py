"""Scoring: ids in, logits out. Every model is an `OnnxScorer`; other scorers prove themselves the same way."""

from service.scoring.onnx_scorer import OnnxScorer
from service.scoring.scorer import TOLERANCE, Logits, Scorer, ScorerFactory, prove

__all__ = ["TOLERANCE", "Logits", "OnnxScorer", "Scorer", "ScorerFactory", "prove"]
