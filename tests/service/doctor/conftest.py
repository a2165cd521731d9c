from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from service.doctor.finding import Check, Finding, Status, Subject
from service.settings import Settings

Examined = Callable[..., dict[str, Finding]]


@pytest.fixture
def examined(bundles: Path, tmp_path: Path) -> Examined:
    """Check → finding, of one check with these settings; `root` and `environment` belong to the subject."""

    def run(check: Check, **given: Any) -> dict[str, Finding]:
        about = {name: given.pop(name) for name in ("root", "environment") if name in given}
        given = {"student_bundle": bundles / "student", "teacher_bundle": None, "events": "", **given}
        return named(check(Subject(settings=Settings(**given), **about)))

    return run


def named(findings: Iterable[Finding]) -> dict[str, Finding]:
    """By what was looked at; whatever is not well says what it should be and what to do."""
    found = {finding.check: finding for finding in findings}
    for finding in found.values():
        assert finding.found
        assert bool(finding.expected) == bool(finding.todo) == (finding.status is not Status.OK)
    return found
