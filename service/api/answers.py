"""From logits to the body of an answer: calibration and sigmoid happen here, once, and nowhere else.

probability = σ(slope · logit + intercept)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import orjson

from service.api.problems import Problem, ProblemError
from service.bundle import Calibration
from service.scoring import Logits

Probabilities = npt.NDArray[np.float32]

_NO_OVERFLOW = 700.0
"""exp of more overflows float64; exp of this is already a probability of 0 in float32."""


def probabilities_of(logits_N: Logits, calibration: Calibration) -> Probabilities:
    """Probabilities [N] float32 of logits [N], computed in float64 and without overflow at any logit.

    Raises:
        ProblemError: a logit is not finite (500, the one server error that a model can cause).
    """
    calibrated_N = calibration.slope * logits_N.astype(np.float64) + calibration.intercept
    finite_N = np.isfinite(calibrated_N)
    if not finite_N.all():
        position = int(np.argmin(finite_N))
        detail = f"the logit at position {position} is not finite; the bundle must be exported again"
        raise ProblemError(Problem.NOT_FINITE, detail, position=position)
    odds_against_N = np.exp(np.minimum(-calibrated_N, _NO_OVERFLOW))
    return (1.0 / (1.0 + odds_against_N)).astype(np.float32)


def answer(*, request_id: str, arm: str, model: str, probabilities_N: Probabilities, fallback: bool) -> bytes:
    """The JSON body of an answer; a float32 is written with as many digits as tell it from its neighbours."""
    return orjson.dumps(
        {
            "request_id": request_id,
            "arm": arm,
            "model": model,
            "probabilities": probabilities_N,
            "fallback": fallback,
        },
        option=orjson.OPT_SERIALIZE_NUMPY,
    )
