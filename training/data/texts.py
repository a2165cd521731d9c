"""What a text in a file stands for: a number, a time, a click, a teacher's logit. ValueError says what was expected."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime

_INTEGER = re.compile(r"[+-]?\d+")


def number(text: str) -> int | float:
    """An integer as int, any other finite number as float."""
    try:
        value = int(text) if _INTEGER.fullmatch(text) else float(text)
        if math.isfinite(value):
            return value
    except (ValueError, OverflowError):
        pass
    raise ValueError("a finite number")


def time(text: str) -> float:
    """A number as it is, else ISO 8601 as seconds since 1970 (UTC where no zone is named)."""
    try:
        return float(number(text))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("a number or an ISO 8601 time") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def logit(text: str) -> float:
    """A teacher's logit."""
    return float(number(text))


def logit_of_probability(text: str) -> float:
    """The logit of a probability, which lies strictly between 0 and 1: 0 and 1 have no logit."""
    try:
        probability = float(number(text))
    except ValueError:
        probability = math.nan
    if not 0 < probability < 1:
        raise ValueError("a probability between 0 and 1, neither of them")
    return math.log(probability) - math.log1p(-probability)


def click(text: str) -> int:
    """0 or 1."""
    if text not in {"0", "1"}:
        raise ValueError("0 or 1")
    return int(text)


def click_where(wanted: Callable[[float], bool]) -> Callable[[str], int]:
    """1 for numbers that are wanted, 0 for others."""
    return lambda text: int(wanted(number(text)))
