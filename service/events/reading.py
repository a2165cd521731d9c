"""What a report reads: one phase of an experiment as numpy arrays, from either database, in one consistent view.

Nothing here is a statistic. Feedback is joined to exposures by request, a candidate's item and position are the same
candidate, late feedback is left out, and a unit's history ends where its phase begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from service.events.joined import Bools, Candidates, Exposures, Floats, Int64s, Scope, read_candidates, read_exposures
from service.events.records import ShadowComparison
from service.events.store import EventStore, Session
from service.events.tables import SHADOW

_ALWAYS = 2**62
"""A time that no clock reaches."""
_PHASE = "e.experiment = ? AND e.phase = ? AND e.reason = 'assigned' AND e.ts_ms < ?"


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseRows:
    """E exposures by assignment, the first of each request, of U units; I candidates with feedback.

    A candidate with any feedback is an impression, since a click implies one.
    """

    arms: tuple[str, ...]
    """In order of their names; `arm_E` counts in it."""
    models: tuple[str, ...]
    """`name@version`, in order of their names; `model_E` counts in it."""
    unit_hash_U: Sequence[bytes]
    """Units in the order of their first exposures."""
    unit_E: Int64s
    arm_E: npt.NDArray[np.int16]
    ts_ms_E: Int64s
    propensity_E: Floats
    n_candidates_E: Int64s
    model_E: npt.NDArray[np.int16]
    """-1 where no model answered."""
    fallback_E: Bools
    status_E: npt.NDArray[np.int16]
    """0 where no answer is stored."""
    latency_us_E: Floats
    """nan where no answer is stored."""
    exposure_I: Int64s
    """Index of the candidate's exposure."""
    position_I: Int64s
    """Index in the request; -1 for an item of a request stored without its items."""
    clicked_I: Bools
    probability_I: Floats
    """As answered; nan where it is not stored."""
    ts_ms_I: Int64s
    """Of the candidate's first feedback, by the server's clock."""
    history_clicks_U: Floats
    """Of the unit's requests before its first exposure in this phase, feedback up to then."""
    history_impressions_U: Floats
    history_expected_U: Floats
    """Sum of those impressions' probabilities, of those that are stored."""
    losses: int
    """Exposures and answers of any experiment that were dropped since this phase began."""
    forced: int
    """Exposures of this phase whose arm a trusted caller asked for."""
    reasons: dict[str, int]
    """Reason → exposures of this experiment and phase."""
    multi_arm_units: int
    """Units with exposures in more than one arm."""
    strays: int
    """Feedback on what was no candidate of its request; left out."""


def read_phase(store: EventStore, experiment: str, phase: int, until_ms: int | None = None) -> PhaseRows:
    """Everything stored about one phase.

    Args:
        store: where to read.
        experiment: its name.
        phase: its phase.
        until_ms: only what happened before this time, milliseconds since 1970; everything if None.
    """
    until_ms = _ALWAYS if until_ms is None else until_ms
    scope = Scope(_PHASE, (experiment, phase, until_ms))
    with store.reading() as session:
        exposures = read_exposures(session, scope)
        bounds = {"until_ms": until_ms, "attribution_ms": store.attribution_ms}
        candidates, answers = read_candidates(session, scope, exposures, **bounds)
        units = {unit_hash: unit for unit, unit_hash in enumerate(dict.fromkeys(exposures.unit_hashes))}
        unit_E = np.array([units[unit_hash] for unit_hash in exposures.unit_hashes], np.int64)
        history = _History.read(session, scope, units, _first(exposures.ts_ms_E, unit_E, len(units)), store)
        reasons = _reasons(session, experiment, phase, until_ms)
        losses = _losses(session, exposures, until_ms)
    arms = tuple(sorted(set(exposures.arms)))
    numbers = {arm: number for number, arm in enumerate(arms)}
    arm_E = np.array([numbers[arm] for arm in exposures.arms], np.int16)
    models = tuple(sorted(answers.models))
    return PhaseRows(
        arms=arms,
        models=models,
        unit_hash_U=tuple(units),
        unit_E=unit_E,
        arm_E=arm_E,
        ts_ms_E=exposures.ts_ms_E,
        propensity_E=exposures.propensity_E,
        n_candidates_E=exposures.n_candidates_E,
        model_E=_in_order(answers.model_E, answers.models, models),
        fallback_E=answers.fallback_E,
        status_E=answers.status_E,
        latency_us_E=answers.latency_us_E,
        exposure_I=candidates.exposure_I,
        position_I=candidates.position_I,
        clicked_I=candidates.clicked_I,
        probability_I=candidates.probability_I,
        ts_ms_I=candidates.ts_ms_I,
        history_clicks_U=history.clicks_U,
        history_impressions_U=history.impressions_U,
        history_expected_U=history.expected_U,
        losses=losses,
        forced=reasons.get("forced", 0),
        reasons=reasons,
        multi_arm_units=_multi_arm_units(unit_E, arm_E, len(units)),
        strays=candidates.strays,
    )


def read_shadows(store: EventStore, since_ms: int = 0) -> list[ShadowComparison]:
    """Every shadow comparison made at `since_ms` or later, in the order they were stored."""
    columns = ", ".join(SHADOW.columns)
    sql = f"SELECT {columns} FROM shadow WHERE ts_ms >= ? ORDER BY id"  # noqa: S608 - our names
    with store.reading() as session:
        rows = [row for chunk in session.chunks(sql, (since_ms,)) for row in chunk]
    return [stored._replace(top_1_flip=bool(stored.top_1_flip)) for stored in map(ShadowComparison._make, rows)]


@dataclass(frozen=True, kw_only=True, slots=True)
class _History:
    """What units did before a phase."""

    clicks_U: Floats
    impressions_U: Floats
    expected_U: Floats

    @classmethod
    def read(
        cls, session: Session, phase: Scope, units: dict[bytes, int], first_ms_U: Int64s, store: EventStore
    ) -> _History:
        """Clicks, impressions and expected clicks of U units before each one's `first_ms_U`."""
        if not units:
            return cls(clicks_U=np.zeros(0), impressions_U=np.zeros(0), expected_U=np.zeros(0))
        latest = int(first_ms_U.max())
        of_units = f"e.unit_hash IN (SELECT e.unit_hash FROM exposure AS e WHERE {phase.condition})"  # noqa: S608 - our names
        before = Scope(
            f"e.ts_ms < ? AND NOT ({phase.condition}) AND {of_units}", (latest, *phase.values, *phase.values)
        )
        exposures = read_exposures(session, before)
        candidates, _ = read_candidates(
            session, before, exposures, until_ms=latest, attribution_ms=store.attribution_ms
        )
        unit_E = np.array([units[unit_hash] for unit_hash in exposures.unit_hashes], np.int64)
        return cls._of(candidates, exposures, unit_E, first_ms_U)

    @classmethod
    def _of(cls, candidates: Candidates, exposures: Exposures, unit_E: Int64s, first_ms_U: Int64s) -> _History:
        unit_I = unit_E[candidates.exposure_I]
        first_ms_I = first_ms_U[unit_I]
        before_I = (exposures.ts_ms_E[candidates.exposure_I] < first_ms_I) & (candidates.ts_ms_I < first_ms_I)
        unit_I, units = unit_I[before_I], len(first_ms_U)
        return cls(
            clicks_U=_sums(unit_I, candidates.clicked_I[before_I], units),
            impressions_U=_sums(unit_I, np.ones(len(unit_I)), units),
            expected_U=_sums(unit_I, np.nan_to_num(candidates.probability_I[before_I]), units),
        )


def _sums(unit_I: Int64s, value_I: npt.NDArray[Any], units: int) -> Floats:
    """Sum of the values of each of U units."""
    return np.bincount(unit_I, value_I, units).astype(np.float64)


def _first(ts_ms_E: Int64s, unit_E: Int64s, units: int) -> Int64s:
    """Each unit's first exposure."""
    first_ms_U = np.full(units, _ALWAYS, np.int64)
    np.minimum.at(first_ms_U, unit_E, ts_ms_E)
    return first_ms_U


def _in_order(model_E: npt.NDArray[np.int16], numbers: dict[str, int], models: Sequence[str]) -> npt.NDArray[np.int16]:
    """Models numbered in the order of `models` and not in that of their first answers; -1 stays."""
    renumbered = np.full(len(models) + 1, -1, np.int16)  # the last one is what -1 reads
    for number, model in enumerate(models):
        renumbered[numbers[model]] = number
    return renumbered[model_E]


def _reasons(session: Session, experiment: str, phase: int, until_ms: int) -> dict[str, int]:
    sql = "SELECT reason, COUNT(*) FROM exposure WHERE experiment = ? AND phase = ? AND ts_ms < ? GROUP BY reason"
    return {reason: int(count) for reason, count in session.rows(sql, (experiment, phase, until_ms))}


def _losses(session: Session, exposures: Exposures, until_ms: int) -> int:
    if not len(exposures.ts_ms_E):
        return 0
    sql = "SELECT COALESCE(SUM(dropped), 0) FROM loss WHERE kind <> 'shadow' AND ts_ms >= ? AND ts_ms < ?"
    [(dropped,)] = session.rows(sql, (int(exposures.ts_ms_E.min()), until_ms))
    return int(dropped)


def _multi_arm_units(unit_E: Int64s, arm_E: npt.NDArray[np.int16], units: int) -> int:
    arms = int(arm_E.max(initial=0)) + 1
    pair_P = np.unique(unit_E * arms + arm_E)
    return int((np.bincount(pair_P // arms, minlength=units) > 1).sum())
