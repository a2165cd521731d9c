"""From ids to an answer, counted: the part that every wire form shares.

A wire form reads ids from its own kind of body and writes logits and probabilities into its own kind of answer.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple

from service.api.answers import Probabilities
from service.api.hot import Answer
from service.api.problems import ProblemError
from service.api.requests import EncodedRequest
from service.lanes import Scored
from service.scoring import Logits
from service.state import Arm

Render = Callable[[Logits, Probabilities], Answer]
"""Logits [N] and probabilities [N] → the answer."""


class Scoring(NamedTuple):
    """A request scored by one arm and not yet answered."""

    arm: Arm
    encoded: EncodedRequest
    scored: Scored
    probabilities: Probabilities
    """[N] float32."""
    scored_at: float
    """`perf_counter` when the logits were there."""


async def score(arm: Arm, encoded: EncodedRequest) -> Scoring:
    """Score a request; raises ProblemError when the lane refuses it or a logit is not finite."""
    scored = await arm.lane.score(arm.model.scorer, encoded.context_ids, encoded.candidate_ids)
    scored_at = perf_counter()
    try:
        probabilities_N = arm.model.probabilities(scored.logits)
    except ProblemError:
        arm.not_finite.inc()
        raise
    return Scoring(arm, encoded, scored, probabilities_N, scored_at)


def count(scoring: Scoring, *, decode_s: float, encode_s: float) -> None:
    """Count a request whose answer has just been rendered, and that took so many seconds to read."""
    arm, scored = scoring.arm, scoring.scored
    arm.stages.decode.observe(decode_s)
    arm.stages.encode.observe(encode_s)
    if scored.queue_s is not None:
        arm.stages.queue.observe(scored.queue_s)
    arm.stages.infer.observe(scored.infer_s)
    arm.stages.respond.observe(perf_counter() - scoring.scored_at)
    arm.count(scoring.encoded, scoring.probabilities)


async def respond(arm: Arm, encoded: EncodedRequest, *, decode_s: float, encode_s: float, render: Render) -> Answer:
    """Score a request that took `decode_s` and `encode_s` seconds to read, and count it once it is answered.

    Raises:
        ProblemError: the lane refused it, or a logit is not finite.
    """
    scoring = await score(arm, encoded)
    answer = render(scoring.scored.logits, scoring.probabilities)
    count(scoring, decode_s=decode_s, encode_s=encode_s)
    return answer
