"""Whether time can be trusted: exposures, feedback and experiments' windows are told apart by the wall clock.

Source: adjtimex(2); its structure is read, never written (modes 0).
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from service.doctor.finding import Finding, Subject, ok, problem, warning

EARLIEST = datetime(2025, 1, 1, tzinfo=UTC)
"""No release of this service is older."""
MOST_SKEW_S = 2.0
"""Seconds by which two clocks may differ before exposures and clicks come in the wrong order."""
_LOOK_S = 0.05
_UNSYNCHRONISED = 0x0040


class _Timex(ctypes.Structure):
    """The head of `struct timex` on 64-bit Linux, and room for its rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def wall(_subject: Subject) -> Iterator[Finding]:
    """The date is possible, and the wall clock goes as fast as the monotonic one."""
    now = datetime.now(UTC)
    if now < EARLIEST:
        yield problem("date", f"{now:%Y-%m-%d %H:%M:%S} UTC", f"after {EARLIEST:%Y-%m-%d}", "set the host's clock")
    else:
        yield ok("date", f"{now:%Y-%m-%d %H:%M:%S} UTC")
    wall_s, monotonic_s = time.time(), time.monotonic()
    time.sleep(_LOOK_S)
    step_ms = ((time.time() - wall_s) - (time.monotonic() - monotonic_s)) * 1e3
    found = f"{step_ms:+.3f} ms against the monotonic clock within {_LOOK_S:g} s"
    if abs(step_ms) > 1:
        yield warning("clock", found, "within 1 ms", "the clock is being set: wait until it has settled")
    else:
        yield ok("clock", found)


def synchronised(_subject: Subject) -> Iterator[Finding]:
    """Whether the kernel says that something keeps its clock right."""
    state = _Timex()
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    if adjtimex is None or adjtimex(ctypes.byref(state)) < 0:
        yield ok("time synchronisation", "not to be read here")
    else:
        yield judged(state.status, state.maxerror)


def judged(status: int, most_us: int) -> Finding:
    """What a status of adjtimex and its greatest error, microseconds, mean."""
    if status & _UNSYNCHRONISED:
        todo = "start chrony or systemd-timesyncd on the host; inside a container nothing can be done"
        return warning("time synchronisation", "the kernel's clock is not synchronised", "NTP", todo)
    return ok("time synchronisation", f"by NTP, at most {most_us / 1e3:,.0f} ms off")


def skew(of: str, other_s: float, here_s: float, resolution_s: float) -> Finding:
    """How far another clock is from this one.

    Args:
        of: whose it is.
        other_s: what it said, seconds since 1970.
        here_s: the time here at the same moment.
        resolution_s: the finest it can say.
    """
    ahead = other_s - here_s
    found = f"{ahead:+.1f} s against this machine"
    if abs(ahead) > MOST_SKEW_S + resolution_s:
        todo = "synchronise both by NTP: late clicks and looks of a report are told by these clocks"
        return warning(f"clock of {of}", found, f"within {MOST_SKEW_S:g} s", todo)
    return ok(f"clock of {of}", found)
