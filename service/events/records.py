"""The records of the event store. Append-only: nothing here is ever changed once it is stored.

An exposure is written at assignment, before anything is scored, so that a slow or dead arm cannot lose its own
exposures; what was answered, if anything, follows in a record of its own. Feedback joins both by `request_id`.
Times are milliseconds since 1970, by the server's clock unless the name says `client`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple


class Exposure(NamedTuple):
    """One request of one unit, and the arm it was given."""

    exposure_id: bytes
    """16 bytes, UUID version 7."""
    request_id: str
    ts_ms: int
    experiment: str
    phase: int
    revision: int
    """Revision of the document that decided."""
    unit_hash: bytes
    """16 bytes: the unit under the store's secret key."""
    arm: str
    propensity: float
    """Probability with which a unit like this one gets this arm, 1 where nothing was drawn."""
    reason: str
    """`service.experiment.assignment.Reason`; only `assigned` is analysed."""
    n_candidates: int
    unit: str | None = None
    """The unit itself, only where the settings ask for raw units."""


class Answered(NamedTuple):
    """What a request with an exposure was answered with, or that it was not."""

    request_id: str
    ts_ms: int
    model: str
    """`name@version` of the model that answered; empty when none did."""
    fallback: bool
    """Whether the default model answered in place of the arm's own."""
    status: int
    """HTTP status."""
    latency_us: float
    """From the request's body to its answer, microseconds."""
    probabilities: bytes
    """[N] float32, little-endian, in the order of the candidates; empty unless the settings log them."""
    items: bytes
    """The request's item ids as a JSON array; empty when it came without."""


class FeedbackEvent(NamedTuple):
    """Something a unit did with one candidate of one answered request."""

    request_id: str
    candidate: str
    """`#3` for the candidate at index 3 of the request, else the item id as JSON (`42`, `"i42"`)."""
    type: str
    """`impression` or `click`."""
    ts_client_ms: int | None
    ts_server_ms: int
    value: float | None = None


class FeedbackStatus(Enum):
    """What became of one feedback event."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    """The same request, candidate and type are stored already; nothing changed."""
    LATE = "late"
    """Stored, and left out of every analysis: the exposure is older than the attribution window."""
    UNKNOWN = "unknown"
    """Stored; no exposure of this request is known (yet), analysed once there is one."""
    REFUSED = "refused"
    """Not stored: the token does not belong to this request."""


class ShadowComparison(NamedTuple):
    """How two models scored the same candidates; see `service.shadow.compare`."""

    request_id: str
    ts_ms: int
    primary: str
    """`name@version` that answered."""
    shadow: str
    """`name@version` that was asked in the shadow."""
    n_candidates: int
    mean_abs_probability_gap: float
    max_abs_probability_gap: float
    mean_abs_logit_gap: float
    max_abs_logit_gap: float
    kendall_tau_b: float | None
    """None where it is not defined: fewer than two candidates, or all tied."""
    top_k_overlap: float
    rank_biased_overlap: float
    top_1_flip: bool
    primary_sum: float
    """Sum of the primary's probabilities: expected clicks, were all candidates shown."""
    shadow_sum: float
    primary_us: float
    shadow_us: float


class Loss(NamedTuple):
    """Records that were dropped because the writer could not keep up."""

    ts_ms: int
    kind: str
    """`exposure`, `answer` or `shadow`."""
    dropped: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Revision:
    """One document that experiments ran under, and who put it there."""

    revision: int
    """1, 2, 3, …"""
    ts_ms: int
    action: str
    """`start`, `put` or `kill`."""
    reason: str
    document: dict[str, Any]
