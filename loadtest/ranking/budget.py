"""Whether a run met its budget of latency and errors, and whether it can tell at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from loadtest.ranking.record import StageFigures


class Verdict(IntEnum):
    """The exit status of a run."""

    MET = 0
    MISSED = 1
    NOT_STARTED = 2
    """The service did not say what it knows, or an option made no sense."""
    NOT_VALID = 3
    """The generator was the bottleneck."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What is allowed in every measured stage."""

    p99_ms: float | None = None
    """None for any."""
    error_ratio: float = 0.001


def judged(figures: Sequence[StageFigures], budget: Budget) -> tuple[Verdict, list[str]]:
    """The verdict over all measured stages and its reasons, none when the budget was met.

    Wrong answers decide first: no generator, however busy, makes a service answer wrongly. A latency is judged only
    where the generator was not the bottleneck, since what it adds cannot be told from what the service takes.
    """
    wrong = [reason for stage in figures for reason in _errors(stage, budget)]
    busy = [f"{stage.name}: {stage.bottleneck}; result not valid" for stage in figures if stage.bottleneck]
    slow = [reason for stage in figures if not stage.bottleneck for reason in _latency(stage, budget)]
    if wrong:
        return Verdict.MISSED, wrong + busy + slow
    if busy:
        return Verdict.NOT_VALID, busy + slow
    return (Verdict.MISSED, slow) if slow else (Verdict.MET, [])


def _errors(stage: StageFigures, budget: Budget) -> list[str]:
    if not stage.asked:
        return [f"{stage.name}: nothing was asked, expected some requests; give it more seconds or more load"]
    if stage.error_ratio <= budget.error_ratio:
        return []
    kinds = ", ".join(f"{what} x {count}" for what, count in list(stage.why.items())[:3])
    got = f"{stage.errors} of {stage.asked} requests ({stage.error_ratio:.2%}) failed"
    return [f"{stage.name}: {got}, expected at most {budget.error_ratio:.2%}: {kinds}"]


def _latency(stage: StageFigures, budget: Budget) -> list[str]:
    if budget.p99_ms is None or stage.p99_ms <= budget.p99_ms:
        return []
    return [f"{stage.name}: p99 is {stage.p99_ms:.2f} ms, expected at most {budget.p99_ms:g}"]
