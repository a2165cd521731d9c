from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.doctor import clock
from service.doctor.finding import Status

if TYPE_CHECKING:
    from tests.service.doctor.conftest import Examined

UNSYNCHRONISED = 0x0040


def test_this_machines_date_and_synchronisation_can_be_read(examined: Examined) -> None:
    assert examined(clock.wall)["date"].status is Status.OK
    assert set(examined(clock.wall)) == {"date", "clock"}
    assert set(examined(clock.synchronised)) == {"time synchronisation"}


def test_a_date_before_this_service_was_written_is_a_problem(
    examined: Examined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "EARLIEST", clock.EARLIEST.replace(year=3000))
    assert examined(clock.wall)["date"].status is Status.PROBLEM


def test_a_clock_that_is_being_set_is_a_warning(examined: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([100.0, 105.0])
    monkeypatch.setattr(clock.time, "time", lambda: next(times))
    assert examined(clock.wall)["clock"].status is Status.WARNING


@pytest.mark.parametrize(("status", "expected"), [(0x2001, Status.OK), (0x2001 | UNSYNCHRONISED, Status.WARNING)])
def test_the_kernel_says_whether_its_clock_is_kept(status: int, expected: Status) -> None:
    assert clock.judged(status, 12_000).status is expected


@pytest.mark.parametrize(
    ("other", "status"), [(1000.0, Status.OK), (1001.9, Status.OK), (1003.0, Status.WARNING), (990.0, Status.WARNING)]
)
def test_clocks_that_differ_by_seconds_are_a_warning(other: float, status: Status) -> None:
    assert clock.skew("x", other, 1000.0, 0.0).status is status
