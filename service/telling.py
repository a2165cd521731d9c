"""Whether single requests are told of, by the slow log or by traces: decided once, at the start.

Where they are not, lanes, other services and the app stand as they are, and OpenTelemetry is not imported: what is off
costs a request nothing, not even a question.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass

from starlette.types import ASGIApp

from service.lanes import Lane
from service.noted import NotedLane, NotedRemote
from service.remote import Remote
from service.settings import Settings


def _as_it_is(app: ASGIApp) -> ASGIApp:
    return app


def _lane_as_it_is(_arm: str, lane: Lane) -> Lane:
    return lane


@dataclass(frozen=True, kw_only=True, slots=True)
class Telling:
    """What stands around the parts of the service; by default nothing."""

    around: Callable[[ASGIApp], ASGIApp] = _as_it_is
    """The app, from outside."""
    running: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    """Open while the app runs."""
    lane: Callable[[str, Lane], Lane] = _lane_as_it_is
    """The lane of an arm."""
    remote: Callable[..., Remote] = Remote
    """Makes what asks another service."""


def telling(settings: Settings, version: str) -> Telling:
    """What the settings want of it.

    Args:
        settings: `traces` and `slow_ms` decide.
        version: of this service.
    """
    if settings.traces:
        from service.traces import Traces  # noqa: PLC0415 - an extra, and 100 ms of imports

        traces = Traces(settings.traces, settings.traces_ratio, version)
        return Telling(around=traces.around, running=traces.running, lane=NotedLane, remote=traces.remote)
    if settings.slow_ms is not None:
        return Telling(lane=NotedLane, remote=NotedRemote)
    return Telling()
