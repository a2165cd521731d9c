"""The schema of the event store, version by version: plain SQL steps, each run once, in order, in one transaction.

A step is never edited once it was released; a change is a further step. The same text serves SQLite and PostgreSQL:
only names of column types differ, and they stand in braces. A database that a newer service has migrated is refused,
because nobody knows here what its tables mean.
"""

from __future__ import annotations

from collections.abc import Mapping

VERSIONS = (
    (
        """CREATE TABLE meta (
            name TEXT PRIMARY KEY,
            value {bytes} NOT NULL
        )""",
        """CREATE TABLE revision (
            revision {integer} PRIMARY KEY,
            ts_ms {integer} NOT NULL,
            action TEXT NOT NULL,
            reason TEXT NOT NULL,
            document TEXT NOT NULL
        )""",
        """CREATE TABLE exposure (
            id {id},
            exposure_id {bytes} NOT NULL,
            request_id TEXT NOT NULL,
            ts_ms {integer} NOT NULL,
            experiment TEXT NOT NULL,
            phase {integer} NOT NULL,
            revision {integer} NOT NULL,
            unit_hash {bytes} NOT NULL,
            arm TEXT NOT NULL,
            propensity {real} NOT NULL,
            reason TEXT NOT NULL,
            n_candidates {integer} NOT NULL,
            unit TEXT
        )""",
        "CREATE INDEX exposure_of_request ON exposure (request_id)",
        "CREATE INDEX exposure_of_phase ON exposure (experiment, phase)",
        """CREATE TABLE answer (
            id {id},
            request_id TEXT NOT NULL,
            ts_ms {integer} NOT NULL,
            model TEXT NOT NULL,
            fallback {boolean} NOT NULL,
            status {integer} NOT NULL,
            latency_us {real} NOT NULL,
            probabilities {bytes} NOT NULL,
            items {bytes} NOT NULL
        )""",
        "CREATE INDEX answer_of_request ON answer (request_id)",
        """CREATE TABLE feedback (
            id {id},
            request_id TEXT NOT NULL,
            candidate TEXT NOT NULL,
            type TEXT NOT NULL,
            ts_client_ms {integer},
            ts_server_ms {integer} NOT NULL,
            value {real},
            late {boolean},
            future {boolean} NOT NULL
        )""",
        "CREATE UNIQUE INDEX feedback_once ON feedback (request_id, candidate, type)",
        """CREATE TABLE shadow (
            id {id},
            request_id TEXT NOT NULL,
            ts_ms {integer} NOT NULL,
            primary_model TEXT NOT NULL,
            shadow_model TEXT NOT NULL,
            n_candidates {integer} NOT NULL,
            mean_abs_probability_gap {real} NOT NULL,
            max_abs_probability_gap {real} NOT NULL,
            mean_abs_logit_gap {real} NOT NULL,
            max_abs_logit_gap {real} NOT NULL,
            kendall_tau_b {real},
            top_k_overlap {real} NOT NULL,
            rank_biased_overlap {real} NOT NULL,
            top_1_flip {boolean} NOT NULL,
            primary_sum {real} NOT NULL,
            shadow_sum {real} NOT NULL,
            primary_us {real} NOT NULL,
            shadow_us {real} NOT NULL
        )""",
        """CREATE TABLE loss (
            id {id},
            ts_ms {integer} NOT NULL,
            kind TEXT NOT NULL,
            dropped {integer} NOT NULL
        )""",
    ),
)
"""Version 1, 2, … → its statements."""

LATEST = len(VERSIONS)
"""The version this code reads and writes."""

RECORD = "CREATE TABLE IF NOT EXISTS schema_version (version {integer} PRIMARY KEY, applied_ms {integer} NOT NULL)"
"""Where a database keeps which versions it has been through."""


def steps(found: int, types: Mapping[str, str]) -> list[tuple[int, list[str]]]:
    """What brings a database from version `found`, 0 for an empty one, to LATEST: version → statements.

    Args:
        found: the newest version recorded in the database.
        types: what this kind of database calls each type that stands in braces.
    """
    return [
        (version, [statement.format_map(types) for statement in statements])
        for version, statements in enumerate(VERSIONS, start=1)
        if version > found
    ]
