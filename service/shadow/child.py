"""The process of a shadow: receives answered requests, scores them by the other model, compares, reports.

It knows its worker by the channel alone. The first message says which models there are; the channel's end is its end.
"""

from __future__ import annotations

import logging
import select
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from time import monotonic, sleep
from types import FrameType

from service import logs
from service.events.records import ShadowComparison
from service.settle import settle
from service.shadow.brief import LONGEST, Limits, read_brief
from service.shadow.compare import Comparison, compare
from service.shadow.message import Offer, receive, receive_buffer
from service.shadow.others import OtherModel, Scored, ShadowError, open_model
from service.shadow.recorder import recording
from service.shadow.tally import Failure, Tally

REPORT_S = 0.25
"""Seconds between two reports."""
RETRY_S = 60.0
"""Seconds after which a bundle that was refused is tried again."""
RENEW_S = 1.0
"""Seconds between two looks for another version of a bundle."""
NAP_S = 0.002
"""Seconds between two looks into an empty queue while requests come. Waiting in the system's call instead would make
every send of the worker wake this process, at the worker's cost."""
AWAKE_S = 0.1
"""Seconds without a request after which it does wait there."""
_LAST_WORD_S = 1.0

Record = Callable[[ShadowComparison], object]

logger = logging.getLogger(__name__)


def run(channel: socket.socket) -> None:
    """Serve a worker until it closes the channel or SIGTERM comes."""
    brief = read_brief(channel.recv(LONGEST))
    logs.configure(brief.log_level, brief.log_format, "shadow")
    with ExitStack() as stack:
        record = stack.enter_context(recording(brief.events, brief.attribution_ms))
        child = Child(channel, Models(brief.models, brief.limits), record)
        signal.signal(signal.SIGTERM, child.stop)
        child.serve()


@dataclass(kw_only=True, slots=True)
class _Refused:
    """A model that could not be opened."""

    error: ShadowError
    until: float


@dataclass(slots=True)
class Models:
    """The other models, each opened when it is first asked."""

    sources: dict[str, str]
    """Name → bundle directory or URL."""
    limits: Limits
    _opened: dict[str, OtherModel] = field(default_factory=dict)
    _looked_at: float = 0.0
    _refused: dict[str, _Refused] = field(default_factory=dict)

    def score(self, offer: Offer) -> Scored:
        """What the offer's other model says; raises ShadowError."""
        self._renew(monotonic())
        model = self._opened.get(offer.other)
        if model is None:
            model = self._opened[offer.other] = self._open(offer.other)
        return model.score(offer)

    def _renew(self, now: float) -> None:
        """Open anew what is outdated, looked for once in RENEW_S; a version that is refused leaves the one before."""
        if now < self._looked_at + RENEW_S:
            return
        self._looked_at = now
        for name, model in self._opened.items():
            if model.outdated():
                with suppress(ShadowError):
                    self._opened[name] = self._open(name)

    def _open(self, name: str) -> OtherModel:
        refused = self._refused.get(name)
        if refused is not None and monotonic() < refused.until:
            raise refused.error
        try:
            model = open_model(name, self.sources[name], self.limits)
        except ShadowError as error:
            logger.error("shadow %s refused: %s; tried again in %g s", name, error, RETRY_S)  # noqa: TRY400 - no trace
            self._refused[name] = _Refused(error=error, until=monotonic() + RETRY_S)
            raise
        settle()
        return model


class Child:
    """Serves one channel.

    Args:
        channel: this process's end.
        models: the models to compare with.
        record: stores a comparison.
    """

    def __init__(self, channel: socket.socket, models: Models, record: Record) -> None:
        self._channel = channel
        self._models = models
        self._record = record
        self._tally = Tally()
        self._stopping = False

    def stop(self, _signal: int, _frame: FrameType | None) -> None:
        """End after the request at hand."""
        self._stopping = True

    def serve(self) -> None:
        """Receive and compare until there is nothing more, reporting in between and at the end."""
        buffer = receive_buffer(self._channel)
        self._channel.setblocking(False)
        report_at = awake_until = 0.0
        while not self._stopping:
            now = monotonic()
            if now >= report_at:
                self._report()
                report_at = now + REPORT_S
            try:
                offer = receive(self._channel, buffer)
            except BlockingIOError:
                self._wait(napping=now < awake_until)
                continue
            if offer is None:
                break
            awake_until = now + AWAKE_S
            self._handle(offer)
        self._channel.settimeout(_LAST_WORD_S)
        self._report()

    def _wait(self, *, napping: bool) -> None:
        """Until there may be something to receive."""
        if napping:
            sleep(NAP_S)
        else:
            select.select([self._channel], [], [], REPORT_S)

    def _handle(self, offer: Offer) -> None:
        try:
            scored = self._models.score(offer)
            found = compare(offer.probabilities_N, scored.probabilities_N)
            self._record(_comparison(offer, scored, found))
        except ShadowError as error:
            # Not what it says: that may quote the request.
            logger.debug("not compared: %s", error.failure.value, extra={"request_id": offer.request_id})
            self._tally.fail(error.failure)
        except Exception:
            logger.exception("the shadow failed on a request", extra={"request_id": offer.request_id})
            self._tally.fail(Failure.INTERNAL)
        else:
            self._tally.count(found, {offer.primary.name: offer.latency_s, offer.other: scored.seconds})

    def _report(self) -> None:
        """Send what was found since the last report; what the worker has no room for now is sent with the next."""
        if not self._tally.requests:
            return
        with suppress(OSError):
            self._channel.send(self._tally.to_bytes())
            self._tally = Tally()


def _comparison(offer: Offer, scored: Scored, found: Comparison) -> ShadowComparison:
    return ShadowComparison(
        request_id=offer.request_id,
        ts_ms=offer.ts_ms,
        primary=offer.primary.version,
        shadow=scored.model,
        n_candidates=len(offer.probabilities_N),
        mean_abs_probability_gap=float(found.probability_gap_N.mean()),
        max_abs_probability_gap=float(found.probability_gap_N.max()),
        mean_abs_logit_gap=float(found.logit_gap_N.mean()),
        max_abs_logit_gap=float(found.logit_gap_N.max()),
        kendall_tau_b=found.kendall_tau_b,
        top_k_overlap=found.top_k_overlap,
        rank_biased_overlap=found.rank_biased_overlap,
        top_1_flip=found.top_1_flip,
        primary_sum=float(offer.probabilities_N.sum(dtype=float)),
        shadow_sum=float(scored.probabilities_N.sum(dtype=float)),
        primary_us=offer.latency_s * 1e6,
        shadow_us=scored.seconds * 1e6,
    )
