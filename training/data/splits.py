"""How rows are dealt to training, validation and test: by Python's own shuffle, as published, or by time.

The published protocol shuffles the row numbers with `random.seed(2022); random.shuffle(...)`: first tenth test, next
tenth validation. Python takes 0.5 µs a row for it and a list of integers; where the compiled loop was built, the same
Mersenne Twister is drawn from in bulk and the swaps are made in C, which gives the same order 30 times as fast.
"""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from training.data.click_log import Split

try:
    from training.native._columns import shuffle

    COMPILED = True
except ImportError:
    COMPILED = False

TENTH = 0.1
_WORDS = 1 << 16


def split_rows(rows: int, seed: int = 2022, *, validation: float = TENTH, test: float = TENTH) -> Split:
    """The published split: shuffled by Python's own generator, test first, then validation, then training.

    Args:
        rows: N.
        seed: of `random.Random`.
        validation: share of the rows, rounded down; read as the decimal number it is written as.
        test: as `validation`.
    """
    order_N = shuffled(rows, seed).astype(np.int64)
    first, second = _share(rows, test), _share(rows, validation)
    return Split(test=order_N[:first], validation=order_N[first : first + second], train=order_N[first + second :])


def split_by_time(time_N: npt.NDArray[np.float64], validation_from: float, test_from: float) -> Split:
    """Rows before `validation_from` train, rows from `test_from` on test; each part in the order of the log."""
    return Split(
        train=np.flatnonzero(time_N < validation_from),
        validation=np.flatnonzero((time_N >= validation_from) & (time_N < test_from)),
        test=np.flatnonzero(time_N >= test_from),
    )


def time_bounds(time_N: npt.NDArray[np.float64], validation: float, test: float) -> tuple[float, float]:
    """Times that leave about these shares to validation and test; rows of one time are never in two parts."""
    sorted_N = np.sort(time_N)
    last = len(sorted_N) - _share(len(sorted_N), test)
    middle = last - _share(len(sorted_N), validation)
    return float(sorted_N[min(middle, len(sorted_N) - 1)]), float(sorted_N[min(last, len(sorted_N) - 1)])


def shuffled(rows: int, seed: int) -> npt.NDArray[np.int32]:
    """`random.Random(seed).shuffle` of 0 … rows - 1."""
    if not COMPILED:
        order = list(range(rows))
        random.Random(seed).shuffle(order)  # noqa: S311 - the protocol names this generator
        return np.array(order, np.int32)
    order_N, position, generator = np.arange(rows, dtype=np.int32), rows - 1, _twister(seed)
    while position > 0:
        position = shuffle(order_N, position, generator.random_raw(_WORDS).view(np.int64))
    return order_N


def _twister(seed: int) -> np.random.MT19937:
    """Python's generator of this seed, as numpy's: it gives the very same 32-bit words."""
    _version, words, _gauss = random.Random(seed).getstate()  # noqa: S311 - as above
    generator = np.random.MT19937()
    key = np.array(words[:-1], np.uint32)
    generator.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": words[-1]}}
    return generator


def _share(rows: int, share: float) -> int:
    return int(rows * Fraction(str(share)))
