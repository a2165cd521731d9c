"""Exposures and the feedback on their candidates, joined: rows of the database in, numpy arrays out.

Requests are numbered in the order of their exposures and joined by a dictionary, not by the database: a million text
keys join faster in memory than through an index, and both databases run the same two plain scans. Probabilities and
item ids, most of a store's bytes, are read only of requests with feedback and are dropped chunk by chunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from service.events.store import Session

Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

UNRESOLVED = -1
"""Position of an item whose request was stored without its items."""
_STRAY = -2
"""Position of what was no candidate of its request."""


class Scope(NamedTuple):
    """Which exposures: a condition on the table `exposure`, called e, and the values of its question marks."""

    condition: str
    values: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Exposures:
    """The first exposure in scope of each of E requests, oldest first."""

    ordinals: dict[str, int]
    """Request id → 0 … E - 1."""
    unit_hashes: list[bytes]
    arms: list[str]
    ts_ms_E: Int64s
    propensity_E: Floats
    n_candidates_E: Int64s


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidates:
    """I candidates with feedback."""

    exposure_I: Int64s
    """Index of the exposure."""
    position_I: Int64s
    """Index in the request, UNRESOLVED where it is not known."""
    clicked_I: Bools
    probability_I: Floats
    """As answered, nan where it was not stored."""
    ts_ms_I: Int64s
    """Of the candidate's first feedback, by the server's clock."""
    strays: int
    """Feedback on what was no candidate of its request; left out."""


@dataclass(kw_only=True, slots=True)
class Answers:
    """How E requests were answered; the first answer of each counts."""

    models: dict[str, int] = field(default_factory=dict)
    """Model → its number."""
    model_E: npt.NDArray[np.int16]
    fallback_E: Bools
    status_E: npt.NDArray[np.int16]
    latency_us_E: Floats
    seen_E: Bools

    @classmethod
    def none(cls, exposures: int) -> Answers:
        """Nothing was answered yet."""
        return cls(
            model_E=np.full(exposures, -1, np.int16),
            fallback_E=np.zeros(exposures, np.bool_),
            status_E=np.zeros(exposures, np.int16),
            latency_us_E=np.full(exposures, np.nan),
            seen_E=np.zeros(exposures, np.bool_),
        )


def read_exposures(session: Session, scope: Scope) -> Exposures:
    """The exposures in scope, of each request the first."""
    sql = "SELECT request_id, unit_hash, arm, ts_ms, propensity, n_candidates FROM exposure AS e WHERE "
    rows: dict[str, tuple[Any, ...]] = {}
    for chunk in session.chunks(f"{sql} {scope.condition} ORDER BY e.id", scope.values):
        for row in chunk:
            rows.setdefault(row[0], row)
    columns = list(zip(*rows.values(), strict=True)) or [()] * 6
    return Exposures(
        ordinals={request_id: ordinal for ordinal, request_id in enumerate(rows)},
        unit_hashes=list(columns[1]),
        arms=list(columns[2]),
        ts_ms_E=np.array(columns[3], np.int64),
        propensity_E=np.array(columns[4], np.float64),
        n_candidates_E=np.array(columns[5], np.int64),
    )


def read_candidates(
    session: Session, scope: Scope, exposures: Exposures, *, until_ms: int, attribution_ms: int
) -> tuple[Candidates, Answers]:
    """The candidates with feedback before `until_ms` that is not late, and how the requests were answered."""
    events = _Feedback.read(session, scope, exposures, until_ms, attribution_ms)
    answers = Answers.none(len(exposures.ordinals))
    for chunk in _answers(session, scope):
        fresh = _fill(answers, exposures.ordinals, chunk)
        events.resolve(fresh)
    events.refuse_positions_beyond(exposures.n_candidates_E)
    return events.candidates(), answers


def _answers(session: Session, scope: Scope) -> Iterator[list[tuple[Any, ...]]]:
    """Answers of requests in scope, in the order they were written; probabilities and items where there is feedback."""
    answered = "EXISTS (SELECT 1 FROM feedback AS f WHERE f.request_id = a.request_id)"
    sql = f"""
    SELECT a.request_id, a.model, a.fallback, a.status, a.latency_us,
        CASE WHEN {answered} THEN a.probabilities END, CASE WHEN {answered} THEN a.items END
    FROM answer AS a WHERE a.request_id IN (SELECT e.request_id FROM exposure AS e WHERE {scope.condition})
    ORDER BY a.id
    """  # noqa: S608 - conditions are ours, values are bound
    return session.chunks(sql, scope.values)


_Stored = tuple[int, bytes | None, bytes | None]
"""Exposure, probabilities, items."""


def _fill(answers: Answers, ordinals: dict[str, int], rows: Sequence[tuple[Any, ...]]) -> list[_Stored]:
    """Note the answers that are the first of their requests; what they stored."""
    stored: list[_Stored] = []
    for request_id, model, fallback, status, latency_us, probabilities, items in rows:
        ordinal = ordinals.get(request_id)
        if ordinal is None or answers.seen_E[ordinal]:
            continue
        answers.seen_E[ordinal] = True
        if model:
            answers.model_E[ordinal] = answers.models.setdefault(model, len(answers.models))
        answers.fallback_E[ordinal] = fallback
        answers.status_E[ordinal] = status
        answers.latency_us_E[ordinal] = latency_us
        stored.append((ordinal, probabilities, items))
    return stored


class _Feedback:
    """J feedback events in the order of their exposures; positions and probabilities are filled in from answers."""

    def __init__(self, rows: Sequence[tuple[int, int, bool, int]], texts: Sequence[str], exposures: int) -> None:
        table_JC = np.array(rows, np.int64).reshape(-1, 4)
        table_JC = table_JC[np.argsort(table_JC[:, 0], kind="stable")]
        self.exposure_J, self.code_J, clicked_J, self.ts_ms_J = table_JC.T
        self.clicked_J = clicked_J.astype(np.bool_)
        self.items_C = [None if text[0] == "#" else orjson.loads(text) for text in texts]
        """Items by code."""
        position_C = np.array([int(text[1:]) if text[0] == "#" else UNRESOLVED for text in texts], np.int64)
        self.position_J = position_C[self.code_J]
        self.probability_J = np.full(len(rows), np.nan)
        self.begin_E = np.searchsorted(self.exposure_J, np.arange(exposures + 1)).tolist()

    @classmethod
    def read(
        cls, session: Session, scope: Scope, exposures: Exposures, until_ms: int, attribution_ms: int
    ) -> _Feedback:
        """Feedback on requests in scope that is not late."""
        sql = f"""
        SELECT f.request_id, f.candidate, f.type, f.ts_server_ms, f.late IS NULL FROM feedback AS f
        WHERE f.request_id IN (SELECT e.request_id FROM exposure AS e WHERE {scope.condition})
        AND f.ts_server_ms < ? AND (f.late IS NULL OR NOT f.late)
        """  # noqa: S608 - conditions are ours, values are bound
        codes: dict[str, int] = {}
        rows: list[tuple[int, int, bool, int]] = []
        latest_E = (exposures.ts_ms_E + attribution_ms).tolist()
        ordinals = exposures.ordinals
        for chunk in session.chunks(sql, (*scope.values, until_ms)):
            for request_id, candidate, kind, ts_ms, unjudged in chunk:
                ordinal = ordinals[request_id]
                if unjudged and ts_ms > latest_E[ordinal]:
                    continue  # came before its exposure was known, and late
                rows.append((ordinal, codes.setdefault(candidate, len(codes)), kind == "click", ts_ms))
        return cls(rows, list(codes), len(ordinals))

    def resolve(self, stored: Sequence[_Stored]) -> None:
        """Find the positions of items and the probabilities of candidates in what requests stored."""
        for ordinal, probabilities, items in stored:
            begin, end = self.begin_E[ordinal], self.begin_E[ordinal + 1]
            if begin == end:
                continue
            if items:
                self._resolve_items(begin, end, items)
            if probabilities:
                probability_N = np.frombuffer(probabilities, "<f4")
                position_J = self.position_J[begin:end]
                known_J = (position_J >= 0) & (position_J < len(probability_N))
                self.probability_J[begin:end][known_J] = probability_N[position_J[known_J]]

    def _resolve_items(self, begin: int, end: int, items: bytes) -> None:
        named = [event for event in range(begin, end) if self.position_J[event] == UNRESOLVED]
        if named:
            positions = _positions(items)
            codes = self.code_J[named].tolist()
            self.position_J[named] = [positions.get(self.items_C[code], _STRAY) for code in codes]

    def refuse_positions_beyond(self, n_candidates_E: Int64s) -> None:
        """What the request had no candidate for is a stray."""
        self.position_J[self.position_J >= n_candidates_E[self.exposure_J]] = _STRAY

    def candidates(self) -> Candidates:
        """One row per candidate: clicked if any of its events is a click, dated by the first."""
        kept_J = self.position_J != _STRAY
        # An item without position is told from others by its name, whose code takes the place of the position.
        key_J = np.where(self.position_J == UNRESOLVED, -1 - self.code_J, self.position_J)[kept_J]
        exposure_J, ts_ms_J = self.exposure_J[kept_J], self.ts_ms_J[kept_J]
        order_J = np.lexsort((ts_ms_J, key_J, exposure_J))
        exposure_J, key_J = exposure_J[order_J], key_J[order_J]
        first_J = np.ones(len(order_J), np.bool_)
        first_J[1:] = (exposure_J[1:] != exposure_J[:-1]) | (key_J[1:] != key_J[:-1])
        first_I = np.flatnonzero(first_J)
        clicked_J = self.clicked_J[kept_J][order_J]
        return Candidates(
            exposure_I=exposure_J[first_I],
            position_I=self.position_J[kept_J][order_J][first_I],
            clicked_I=np.logical_or.reduceat(clicked_J, first_I) if len(first_I) else clicked_J,
            probability_I=self.probability_J[kept_J][order_J][first_I],
            ts_ms_I=ts_ms_J[order_J][first_I],
            strays=int((~kept_J).sum()),
        )


def _positions(items: bytes) -> dict[str | int, int]:
    """Item → its first position in the request."""
    listed = orjson.loads(items)
    return dict(zip(reversed(listed), range(len(listed) - 1, -1, -1), strict=True))
