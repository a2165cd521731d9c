"""What a run says at its end: tables for people, JSON for machines, and whether it went well."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.table import Table

from loadtest.traffic.client import RESULTS
from loadtest.traffic.misbehaviour import DUPLICATE, FORGED, LATE, UNKNOWN
from loadtest.traffic.run import Run
from loadtest.traffic.simulate import Plan
from training.progress import results_table


def expected_results(run: Run) -> dict[str, int]:
    """What should have become of the feedback that was sent, result → events.

    Where answers are signed, the click for nobody's request carries another request's token: it is refused.
    """
    sent, signed = run.outcome.sent, run.outcome.tokens
    expected = dict.fromkeys(RESULTS, 0)
    expected["duplicates"] = sent[DUPLICATE]
    expected["late"] = sent[LATE]
    expected["unknown"] = 0 if signed else sent[UNKNOWN]
    expected["refused"] = sent[FORGED] + (sent[UNKNOWN] if signed else 0)
    expected["accepted"] = sent["events"] - sum(expected.values())
    return expected


def faults(run: Run, budget: float) -> list[str]:
    """Why a run did not go well, one line each; none when it did.

    Args:
        run: what happened.
        budget: share of visits that may stay without an answer.
    """
    outcome, found = run.outcome, []
    visits = outcome.lost + sum(outcome.referee.reasons.values())
    errors = sum(run.said.errors.values())
    if errors > budget * visits:
        kinds = ", ".join(f"{what} x {count}" for what, count in run.said.errors.most_common(5))
        found.append(f"{errors} of {visits} visits met an error, expected at most {budget:.2%}: {kinds}")
    if outcome.referee.wrong_arm:
        found.append(f"{outcome.referee.wrong_arm} answers came from another arm than the unit's, expected none")
    if outcome.truth.units_in_several_arms:
        found.append(f"{outcome.truth.units_in_several_arms} units were in more than one arm, expected none")
    expected = expected_results(run)
    if not errors and {result: run.said.feedback[result] for result in RESULTS} != expected:
        found.append(f"feedback became {dict(run.said.feedback)}, expected {expected}")
    return found


def tables(run: Run) -> list[Table]:
    """Arms, feedback, latencies."""
    return [_arms(run), _feedback(run), _latencies(run)]


def _arms(run: Run) -> Table:
    table = results_table("truth by arm", "arm", "requests", "units", "clicks", "CTR", "true CTR", "caused CTR")
    truth = run.outcome.truth
    for name, seen in sorted(truth.arms.items()):
        observed = seen.clicks / max(seen.impressions, 1)
        shares = (observed, seen.true_rate, truth.caused_rate(name))
        counts = (seen.requests, len(seen.units), seen.clicks)
        table.add_row(name, *(f"{count:,}" for count in counts), *(f"{share:.4%}" for share in shares))
    return table


def _feedback(run: Run) -> Table:
    table = results_table("feedback", "became", "expected", "the service said")
    for result, count in expected_results(run).items():
        table.add_row(result, f"{count:,}", f"{run.said.feedback[result]:,}")
    return table


def _latencies(run: Run) -> Table:
    table = results_table(f"{run.outcome.seconds:.1f} s", "path", "answers", "per second", "p50 ms", "p99 ms")
    for path, taken in (("/predict", run.said.predict_s), ("/feedback", run.said.feedback_s)):
        if taken:
            middle, high = (f"{1e3 * value:.2f}" for value in np.percentile(taken, [50, 99]))
            table.add_row(path, f"{len(taken):,}", f"{len(taken) / run.outcome.seconds:,.0f}", middle, high)
    return table


def as_json(run: Run, plan: Plan, control: str | None) -> dict[str, Any]:
    """Everything a run knows, for a file beside the report."""
    referee = run.outcome.referee
    return {
        "seed": plan.seed,
        "lift": plan.lift,
        "truth": run.outcome.truth.to_json(plan.treatment, control),
        "assigned": dict(referee.assigned),
        "reasons": dict(referee.reasons),
        "fallbacks": dict(referee.fallbacks),
        "wrong_arm": referee.wrong_arm,
        "models": {arm: sorted(models) for arm, models in referee.models.items()},
        "sent": dict(run.outcome.sent),
        "feedback": {"expected": expected_results(run), "said": dict(run.said.feedback)},
        "errors": dict(run.said.errors),
        "lost": run.outcome.lost,
        "seconds": run.outcome.seconds,
    }
