"""What a check says, and how all of them are run: one that breaks is a finding, not the end of the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from service.settings import Settings


class Status(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    """What was looked at, in a few words."""
    status: Status
    found: str
    expected: str = ""
    """What it should be; empty where it is."""
    todo: str = ""
    """What to do about it; empty where nothing need be done."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What is examined."""

    settings: Settings
    environment: Mapping[str, str] = field(default_factory=dict)
    root: Path = Path("/")
    """Holds `proc` and the mounts of control groups."""


Check = Callable[[Subject], Iterable[Finding]]


def ok(check: str, found: str) -> Finding:
    """All is well."""
    return Finding(check=check, status=Status.OK, found=found)


def warning(check: str, found: str, expected: str, todo: str) -> Finding:
    """It works, but not as well or as safely as it could."""
    return Finding(check=check, status=Status.WARNING, found=found, expected=expected, todo=todo)


def problem(check: str, found: str, expected: str, todo: str) -> Finding:
    """The service does not work, or not as its settings say."""
    return Finding(check=check, status=Status.PROBLEM, found=found, expected=expected, todo=todo)


def examine(checks: Mapping[str, Sequence[Check]], subject: Subject) -> dict[str, list[Finding]]:
    """Group → what its checks found; secrets of the settings are starred out whatever a check quotes."""
    return {
        group: [_redacted(finding, subject.settings) for check in members for finding in _run(check, subject)]
        for group, members in checks.items()
    }


def _run(check: Check, subject: Subject) -> list[Finding]:
    try:
        return list(check(subject))
    except Exception as error:  # noqa: BLE001 - whatever a check trips over is something to be told
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"
        name = getattr(check, "__name__", "a check").replace("_", " ")
        return [problem(name, what, "a check that ends", "look at what it names; the other checks are not affected")]


def _redacted(finding: Finding, settings: Settings) -> Finding:
    texts = {name: getattr(finding, name) for name in ("found", "expected", "todo")}
    for secret in secrets(settings):
        texts = {name: text.replace(secret, "***") for name, text in texts.items()}
    return replace(finding, **texts)


def secrets(settings: Settings) -> list[str]:
    """Everything in the settings that nobody may read: tokens, keys, passwords within URLs."""
    tokens = [token.get_secret_value() for token in (settings.admin_token, settings.token_key) if token is not None]
    urls = (settings.events, settings.traces, *settings.arms.values())
    passwords = [match[1] for url in urls for match in re.finditer(r"://[^:/?]*:(.+)@", url)]
    passwords += [match[1] for url in urls for match in re.finditer(r"[?&]password=([^&]+)", url)]
    return [secret for secret in (*tokens, *passwords) if secret]
