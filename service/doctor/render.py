"""Findings as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from rich.markup import escape
from rich.table import Table

from service.doctor.finding import Finding, Status

_STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.PROBLEM: "bold red"}
_WORST_FIRST = (Status.PROBLEM, Status.WARNING, Status.OK)

Groups = Mapping[str, Sequence[Finding]]


def worst(groups: Groups) -> Status:
    """The status of everything together."""
    found = {finding.status for finding in _all(groups)}
    return next((status for status in _WORST_FIRST if status in found), Status.OK)


def table(groups: Groups) -> Table:
    """A row per finding: how it is, what was found, what to do."""
    shown = Table("", "check", "found", "expected, and what to do", title_justify="left")
    for group, findings in groups.items():
        shown.add_section()
        shown.add_row("", f"[bold]{escape(group)}[/bold]", "", "")
        for finding in findings:
            status = f"[{_STYLES[finding.status]}]{finding.status}[/]"
            advice = "; ".join(part for part in (finding.expected, finding.todo) if part)
            shown.add_row(status, escape(finding.check), escape(finding.found), escape(advice))
    return shown


def summary(groups: Groups) -> str:
    """One line: how many of each."""
    counts = {status: sum(finding.status is status for finding in _all(groups)) for status in _WORST_FIRST}
    verdict = {
        Status.OK: "all is well",
        Status.WARNING: "it works, and could work better",
        Status.PROBLEM: "something needs to be done",
    }[worst(groups)]
    return f"{verdict}: {', '.join(f'{number} {status}' for status, number in counts.items())}"


def to_json(groups: Groups) -> str:
    """Everything, for a program."""
    listed = {group: [asdict(finding) for finding in findings] for group, findings in groups.items()}
    return json.dumps({"status": worst(groups), "groups": listed}, indent=2)


def _all(groups: Groups) -> Iterable[Finding]:
    return (finding for findings in groups.values() for finding in findings)
