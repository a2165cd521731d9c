"""Event stores with a known truth: units drawn by the real assignment, clicks by a model that knows its odds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from service.events.records import Answered, Exposure, FeedbackEvent, ShadowComparison
from service.events.sql import SqlStore
from service.events.store import Batch
from service.experiment.assignment import Assigner, Reason
from service.experiment.document import Document, check
from service.experiment.model_facts import ModelFacts, note_models
from tests.service.events.builders import NOW_MS, exposure, shadow

HOUR_MS = 3_600_000
FACTS = {
    "student@v1": ModelFacts(flops_effective=15e6, flops_executed=18e6),
    "teacher@v1": ModelFacts(flops_effective=70e6, flops_executed=75e6),
}
LAX = {
    "latency_p99_margin": 0.9,
    "error_rate_margin": 0.2,
    "fallback_rate_margin": 0.2,
    "log_loss_margin": 0.5,
    "calibration_margin": 0.9,
}
"""Margins that a few hundred units can keep."""


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What an arm does to the units that see it."""

    ctr: float = 0.1
    latency_us: float = 400.0
    model: str = "student@v1"
    fallback: float = 0.0
    """Share of requests that student@v1 answers in its place."""
    errors: float = 0.0
    """Share of requests that are not answered."""
    lost: float = 0.0
    """Share of units of which nothing is stored."""
    overstated: float = 1.0
    """How many times the true probability the answer has."""


TEACHER = Behaviour(latency_us=1600.0, model="teacher@v1")
STUDENT = Behaviour()


@dataclass(kw_only=True)
class World:
    """Who comes, when, and what they see."""

    units: int = 1_000
    requests: int = 2
    """Of each unit."""
    candidates: int = 5
    days: float = 10.0
    seed: int = 1
    probabilities: bool = True
    feedback: bool = True
    raw: bool = False
    spread: float = 0.5
    """Standard deviation of a unit's log odds: what makes its impressions alike."""
    arms: Mapping[str, Behaviour] = field(default_factory=lambda: {"teacher": TEACHER, "student": STUDENT})


def document(**given: Any) -> Document:
    """A document with one experiment, `rank`, teacher against student unless its fields are given."""
    analysis = {**LAX, "planned_units": 400, "margin": 0.1, **given.pop("analysis", {})}
    arms = given.pop("arms", [{"name": "teacher", "weight": 5000}, {"name": "student", "weight": 5000}])
    return check({"experiments": [{"name": "rank", "arms": arms, "analysis": analysis, **given}]})


def fill(store: SqlStore, doc: Document, world: World, *, since_ms: int = NOW_MS) -> None:
    """Put the document in force and let the world happen to it."""
    dumped = doc.model_dump(mode="json")
    store.add_revision(store.latest_revision(), "put", "a test", dumped)
    note_models(store, FACTS)
    happen(store, doc, world, since_ms)


def happen(store: SqlStore, doc: Document, world: World, since_ms: int = NOW_MS, prefix: str = "user") -> None:
    """Write what a world's units see and do, some thousand requests at a time."""
    rng, assigner = np.random.default_rng(world.seed), Assigner(doc)
    batch = Batch()
    odds_U = np.random.default_rng(99).normal(0.0, world.spread, world.units)  # tastes that outlast a phase
    arrivals_U = np.sort(rng.integers(0, int(world.days * 24 * HOUR_MS), world.units)).tolist()
    for number, arrival_ms in enumerate(arrivals_U):
        unit = f"{prefix}-{number}"
        given = assigner.assign(unit, {})
        behaviour = world.arms.get(given.arm, STUDENT)
        if given.reason is not Reason.ASSIGNED or rng.random() < behaviour.lost:
            continue
        for request in range(world.requests):
            about = {
                "ts_ms": since_ms + arrival_ms + request * HOUR_MS,
                "experiment": given.experiment.name if given.experiment else "",
                "phase": given.experiment.phase if given.experiment else 0,
                "arm": given.arm,
                "propensity": given.propensity,
            }
            exposed = exposure(f"{since_ms}-{prefix}-{number}-{request}", unit, n_candidates=world.candidates, **about)
            batch.exposures.append(exposed._replace(unit=unit if world.raw else None))
            answered, seen = _answer(world, behaviour, exposed, odds_U[number], rng)
            batch.answers.append(answered)
            batch.feedback.extend(seen)
        if len(batch.exposures) > 2000:
            store.write(batch)
            batch = Batch()
    store.write(batch)


def _answer(
    world: World, behaviour: Behaviour, exposed: Exposure, odds: float, rng: np.random.Generator
) -> tuple[Answered, list[FeedbackEvent]]:
    """What a request of a unit with these odds is answered with, and what the unit does then."""
    name, ts_ms = exposed.request_id, exposed.ts_ms
    if rng.random() < behaviour.errors:
        return Answered(name, ts_ms, "", False, 504, 1e6, b"", b""), []
    base = np.log(behaviour.ctr / (1 - behaviour.ctr)) + odds
    true_N = 1 / (1 + np.exp(-(base + rng.normal(0, 0.7, world.candidates))))
    said = np.clip(true_N * behaviour.overstated, 0, 1).astype("<f4").tobytes() if world.probabilities else b""
    fallback = bool(rng.random() < behaviour.fallback)
    model = "student@v1" if fallback else behaviour.model
    latency_us = behaviour.latency_us * float(rng.lognormal(0, 0.3))
    answered = Answered(name, ts_ms + 1, model, fallback, 200, latency_us, said, b"")
    clicked_N = (rng.random(world.candidates) < true_N).tolist()
    kinds = ["click" if clicked else "impression" for clicked in clicked_N] if world.feedback else []
    return answered, [
        FeedbackEvent(name, f"#{position}", kind, None, ts_ms + 5_000, None) for position, kind in enumerate(kinds)
    ]


def shadows(count: int, seed: int = 3) -> list[ShadowComparison]:
    """Comparisons of student and teacher with some spread."""
    rng = np.random.default_rng(seed)
    return [
        shadow(
            f"s{number}",
            mean_abs_probability_gap=float(rng.gamma(2, 0.004)),
            mean_abs_logit_gap=float(rng.gamma(2, 0.05)),
            kendall_tau_b=float(np.clip(rng.normal(0.9, 0.05), -1, 1)),
            top_k_overlap=0.9,
            rank_biased_overlap=float(np.clip(rng.normal(0.93, 0.03), 0, 1)),
            top_1_flip=bool(rng.random() < 0.06),
            primary_sum=1.0,
            shadow_sum=float(rng.normal(1.02, 0.1)),
            primary_us=float(rng.lognormal(6.0, 0.3)),
            shadow_us=float(rng.lognormal(7.5, 0.3)),
            ts_ms=NOW_MS + 5 * 24 * HOUR_MS,
        )
        for number in range(count)
    ]
