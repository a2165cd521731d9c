from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from service.doctor import software
from service.doctor.finding import Status

if TYPE_CHECKING:
    from tests.service.doctor.conftest import Examined


def test_what_the_server_is_started_with_is_here(examined: Examined) -> None:
    found = examined(software.interpreter)
    assert {finding.status for finding in found.values()} == {Status.OK}
    assert set(found) == {"python", "uvloop", "httptools"}


def test_a_server_without_its_parser_is_a_problem(examined: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "find_spec", lambda name: None if name == "httptools" else object())
    assert examined(software.interpreter)["httptools"].status is Status.PROBLEM


def test_an_extension_that_is_not_built_is_a_warning(examined: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "service.native._encode", None)
    finding = examined(software.extensions)["C extension _encode"]
    assert finding.status is Status.WARNING
    assert "values are looked up in Python" in finding.found


def test_built_extensions_say_their_instruction_sets(examined: Examined) -> None:
    pytest.importorskip("service.native._dagfm")
    assert examined(software.extensions)["C extension _dagfm"].found.endswith("baseline")


def test_an_extra_is_missed_only_where_the_settings_need_it(
    examined: Examined, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert examined(software.extras)["extra otel"].status is Status.OK
    monkeypatch.setattr(software, "EXTRAS", {"otel": "not.installed.anywhere", "postgres": "nor_this"})
    without = examined(software.extras)
    assert without["extra otel"].found == without["extra postgres"].found == "not installed, not needed"
    needed = examined(software.extras, traces="http://collector:4318", events="postgresql://h/d")
    assert {finding.status for finding in needed.values()} == {Status.PROBLEM}
    assert needed["extra otel"].todo == "pip install '.[otel]'"
