"""Random numbers by key instead of by order: the same key gives the same number in every run and in both arms.

A stream that is drawn from one after another would hand a click to another user as soon as two answers change places.
Here a number is a hash of what it decides about: SplitMix64's finaliser (Steele, Lea and Flood 2014) over the keys one
after another, all arrays at once. One `hashlib` call a number would be as good and a hundred times slower.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Keys = int | npt.NDArray[np.integer]
"""One key, or one per number; arrays broadcast."""
Numbers = npt.NDArray[np.float64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


class Stream(IntEnum):
    """What a number decides about: the first key, so that two decisions never share one."""

    TASTE = 1
    APPEAL = 2
    AFFINITY = 3
    CLICK = 4
    CONTEXT = 5
    CANDIDATE = 6
    ARRIVAL = 7
    DUPLICATE = 8
    LATE = 9
    UNKNOWN = 10
    FORGED = 11
    COUNTERFACTUAL = 12
    FEEDBACK = 13


def uniforms(stream: Stream, seed: int, *keys: Keys) -> Numbers:
    """Numbers in (0, 1) of these keys, in the shape the keys broadcast to, at least [1]."""
    # The upper 53 bits, in the middle of their interval: neither 0 nor 1, whose quantiles are infinite.
    return ((_bits(int(stream), seed, *keys) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normals(stream: Stream, seed: int, *keys: Keys) -> Numbers:
    """Standard normal numbers of these keys, in the shape the keys broadcast to, at least [1]."""
    quantiles: Numbers = ndtri(uniforms(stream, seed, *keys))
    return quantiles


def choices(stream: Stream, seed: int, *keys: Keys, among: int) -> npt.NDArray[np.int64]:
    """Integers in [0, among) of these keys, in the shape the keys broadcast to, at least [1]."""
    return (uniforms(stream, seed, *keys) * among).astype(np.int64)


def _bits(*keys: Keys) -> npt.NDArray[np.uint64]:
    state = np.zeros(1, np.uint64)
    with np.errstate(over="ignore"):  # modulo 2^64 is meant
        for key in keys:
            state = _mixed(state ^ _mixed(np.asarray(key).astype(np.uint64) + _STEP) + _STEP)
    return state


def _mixed(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    return bits ^ (bits >> np.uint64(31))
