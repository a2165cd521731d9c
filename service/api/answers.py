"""From logits to the body of an answer: calibration and sigmoid happen here, once, and nowhere else.

probability = σ(slope · logit + intercept)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import orjson

from service import loops
from service.api.problems import Problem, ProblemError
from service.bundle import Calibration
from service.scoring import Logits

Probabilities = npt.NDArray[np.float32]


def probabilities_of(logits_N: Logits, calibration: Calibration) -> Probabilities:
    """Probabilities [N] float32 of logits [N], computed in float64 and without overflow at any logit.

    Raises:
        ProblemError: a logit is not finite (500, the one server error that a model can cause).
    """
    probabilities_N = np.empty(len(logits_N), np.float32)
    position = loops.probabilities(logits_N, calibration.slope, calibration.intercept, probabilities_N)
    if position != loops.FINE:
        detail = f"the logit at position {position} is not finite; the bundle must be exported again"
        raise ProblemError(Problem.NOT_FINITE, detail, position=position)
    return probabilities_N


def answer(
    *, request_id: str, arm: str, model: str, probabilities_N: Probabilities, fallback: bool, token: str | None = None
) -> bytes:
    """The JSON body of an answer; a float32 is written with as many digits as tell it from its neighbours."""
    body = {
        "request_id": request_id,
        "arm": arm,
        "model": model,
        "probabilities": probabilities_N,
        "fallback": fallback,
    }
    if token is not None:
        body["token"] = token
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
