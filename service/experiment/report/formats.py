"""Numbers as people read them, the same in text and HTML. What is not known is an en dash."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite

from service.experiment.report.schema_arms import Ends, GuardrailView, Measured

NOTHING = "–"  # noqa: RUF001 - the en dash is meant
MINUS = "\N{MINUS SIGN}"
_MOST_DIGITS = 4
_LEAST_P = 0.0001

GUARDRAILS = {
    "latency_p99": "Latency, p99",
    "error_rate": "Requests without an answer",
    "fallback_rate": "Answered by another model",
    "log_loss": "Log loss, normalized (NE)",
    "calibration": "Calibration, distance from 1",
}
VERDICTS = {
    "ship": ("Ship", "The treatment meets its goal, and every guardrail keeps its margin."),
    "keep": ("Keep the control", "The treatment is not good enough to replace the control."),
    "stop_harm": ("Stop: harm", "The treatment is worse than what was accepted."),
    "inconclusive": ("Inconclusive", "The data do not decide yet."),
    "invalid": ("Invalid", "The numbers cannot be trusted; mend the cause and begin a new phase."),
}


def verdict_words(verdict: str, mode: str) -> tuple[str, str]:
    """The verdict in two words and in a sentence."""
    if mode == "aa" and verdict == "keep":
        return "No difference", "The A/A test finds what it should: no difference."
    return VERDICTS[verdict]


def integer(value: float | None) -> str:
    """Thousands apart."""
    return NOTHING if value is None else f"{value:,.0f}"


def share(value: float | None, digits: int = 2) -> str:
    """A fraction in percent."""
    return NOTHING if value is None or not isfinite(value) else f"{100 * value:.{digits}f} %"


def change(value: float | None, digits: int = 2) -> str:
    """A fraction in percent, with its sign."""
    if value is None or not isfinite(value):
        return NOTHING
    return f"{100 * value:+.{digits}f} %".replace("-", MINUS)


def points(value: float | None) -> str:
    """A difference of shares, in percentage points."""
    if value is None or not isfinite(value):
        return NOTHING
    return f"{100 * value:+.3f} pp".replace("-", MINUS)


def interval(ends: Ends | None, unit: str = "%", digits: int = 2) -> str:
    """Two changes; an end that is not bounded is an infinity."""
    if ends is None:
        return NOTHING
    low, high = (f"{100 * end:+.{digits}f}" if isfinite(end) else ("∞" if end > 0 else "-∞") for end in ends)
    return f"{low} to {high} {unit}".replace("-", MINUS)


def number(value: float | None, digits: int = _MOST_DIGITS) -> str:
    """A plain number with so many decimals."""
    return NOTHING if value is None or not isfinite(value) else f"{value:.{digits}f}".replace("-", MINUS)


def between(ends: Ends | None, digits: int = _MOST_DIGITS) -> str:
    """Two plain numbers."""
    return NOTHING if ends is None else f"{number(ends[0], digits)} to {number(ends[1], digits)}"


def large(value: float | None) -> str:
    """A count in thousands, millions or billions."""
    if value is None:
        return NOTHING
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def milliseconds(microseconds: float | None) -> str:
    """Three digits that count."""
    return NOTHING if microseconds is None or not isfinite(microseconds) else f"{microseconds / 1000:.3g} ms"


def p_value(p: float | None) -> str:
    """Four decimals, or that it is less."""
    if p is None:
        return NOTHING
    return f"{p:.4f}" if p >= _LEAST_P else f"< {_LEAST_P}"


def moment(ts_ms: int | None) -> str:
    """Date and time, UTC."""
    return NOTHING if ts_ms is None else datetime.fromtimestamp(ts_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def measured_change(measured: Measured | None) -> tuple[str, str]:
    """An improvement and its interval."""
    if measured is None:
        return NOTHING, ""
    return change(measured.value), "" if measured.interval is None else interval(measured.interval)


def guardrail_value(rail: GuardrailView, value: float | None) -> str:
    """A guardrail's metric in its own unit."""
    match rail.metric:
        case "latency_p99":
            return milliseconds(value)
        case "error_rate" | "fallback_rate":
            return share(value, 3)
        case _:
            return number(value)


def harm(rail: GuardrailView) -> str:
    """How much worse it is, and the interval."""
    if rail.harm is None:
        return NOTHING
    if rail.scale == "lift":
        return f"{change(rail.harm)} ({interval(rail.fixed)})"
    return f"{points(rail.harm)} ({interval(rail.fixed, 'pp', 3)})"


def margin(rail: GuardrailView) -> str:
    """What is accepted."""
    return f"{100 * rail.margin:g} {'%' if rail.scale == 'lift' else 'pp'}"
