"""One experiment with a known truth, from a cold start of the service to its verdict."""

from __future__ import annotations

import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import orjson

from loadtest.traffic.run import Crowd, Run, run
from loadtest.traffic.serve import Wanted, experiment_service, report
from loadtest.traffic.simulate import Plan
from service.events.reading import read_phase
from service.events.urls import open_store

PATIENT = {"CTR_TEACHER_TIMEOUT_MS": "30000"}
"""Its teacher waits out a busy machine: the truth here is about clicks, not about deadlines."""
ATTRIBUTION_MS = 24 * 3600 * 1000
CONCURRENCY = 8
"""As many as the service lets wait for its teacher; further ones would fall back, and be no fault."""
CONTROL, TREATMENT = "control", "treatment"
EXPERIMENT = "truth"


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What is put on the service, and what should come of it."""

    name: str
    lift: float = 0.0
    mode: Literal["ab", "aa"] = "ab"
    models: tuple[str, str] = ("student", "student")
    """Of control and treatment."""
    verdicts: frozenset[str] = field(default_factory=frozenset)
    """The right ones; empty where none is promised."""
    truth_path: str | None = None
    """Predict path of the model that knows relevance."""

    def document(self, units: int) -> str:
        """TOML of the experiment, planned for so many units of both arms.

        The guardrails are wide. Made-up clicks are not the ones that the model was calibrated on, traffic and service
        share a machine, and a run of minutes is too short to show that errors are rarer than one in a thousand.
        """
        control, treatment = self.models
        return f"""
default = "student"

[[experiments]]
name = "{EXPERIMENT}"
mode = "{self.mode}"
arms = [
  {{ name = "{CONTROL}", model = "{control}", weight = 5000 }},
  {{ name = "{TREATMENT}", model = "{treatment}", weight = 5000 }},
]

[experiments.analysis]
goal = "superiority"
planned_units = {units}
latency_p99_margin = 0.99
error_rate_margin = 0.05
fallback_rate_margin = 0.05
log_loss_margin = 0.1
calibration_margin = 0.99
"""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What scenarios are played with."""

    student: Path
    teacher: Path | None
    users: int
    requests: int
    workers: int = 1

    @property
    def planned_units(self) -> int:
        """About as many as come: of the least active users some never do."""
        return max(100, round(0.6 * self.users))


@dataclass(frozen=True, kw_only=True)
class Found:
    """What traffic knows and what the report says about one scenario."""

    scenario: Scenario
    seed: int
    ran: Run
    report: dict[str, Any]
    propensities: frozenset[float]
    """Of all exposures in the event store."""
    seconds: float
    """From the start of the service to the report."""

    @property
    def truth(self) -> float:
        """The relative lift that the treatment causes."""
        return self.ran.outcome.truth.caused_lift(TREATMENT, CONTROL)

    @property
    def effect(self) -> dict[str, Any]:
        """The report's lift of CTR; raises RuntimeError if it has none."""
        comparison = self.report["comparisons"][0]
        effect: dict[str, Any] | None = comparison["primary"]
        if effect is None:
            raise RuntimeError(f"{self.scenario.name}: the report has no lift: {comparison['missing']}")
        return effect

    @property
    def verdict(self) -> str:
        """What the report says to do."""
        said: str = self.report["verdict"]["verdict"]
        return said

    def holds(self, interval: str) -> bool:
        """Whether the report's `fixed` or `anytime` interval contains the truth; an end that is null is open."""
        low, high = self.effect[interval]
        return (low is None or low <= self.truth) and (high is None or self.truth <= high)

    def held_at_every_look(self) -> bool:
        """Whether the truth was in the anytime-valid interval at every moment that the report looked at."""
        looks = [look["anytime"] for look in self.report["comparisons"][0]["over_time"] if look["anytime"]]
        return all((low is None or low <= self.truth) and (high is None or self.truth <= high) for low, high in looks)


def play(scenario: Scenario, stage: Stage, seed: int) -> Found:
    """Start the service, send traffic, ask for the report.

    Raises:
        RuntimeError: the service or the report fails; with what it said.
    """
    wanted = Wanted(
        student=stage.student,
        teacher=stage.teacher,
        experiment=scenario.document(stage.planned_units),
        workers=stage.workers,
        more=PATIENT,
    )
    plan = Plan(
        requests=stage.requests,
        seed=seed,
        lift=scenario.lift,
        treatment=TREATMENT,
        truth_path=scenario.truth_path,
        counterfactual=1.0,
        concurrency=CONCURRENCY,
    )
    started = perf_counter()
    with tempfile.TemporaryDirectory(prefix="truth-") as folder, experiment_service(wanted, Path(folder)) as served:
        ran = run(served.url, Crowd(bundle=stage.student, users=stage.users), plan)
        said = orjson.loads(report(served, "--experiment", EXPERIMENT, "--json"))
        seconds = perf_counter() - started
        with closing(open_store(served.store, ATTRIBUTION_MS)) as store:
            propensities = frozenset(read_phase(store, EXPERIMENT, 1).propensity_E.tolist())
    return Found(scenario=scenario, seed=seed, ran=ran, report=said, propensities=propensities, seconds=seconds)
