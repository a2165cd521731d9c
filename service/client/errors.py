"""What may go wrong with a call, by what the caller does about it: mend the request, go on without, or wait longer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_SHOWN = 200


class ClientError(Exception):
    """A call has no answer. Every error of this package is one."""


class DeadlineExceeded(ClientError):  # noqa: N818 - the name this error has in gRPC
    """The call's deadline passed before there was an answer: rank without probabilities, or by the last known ones."""


class _WithProblemError(ClientError):
    """An error that carries what the service said, if it said anything.

    Attributes:
        status: HTTP status of the last answer; None if there was none.
        problem: members of its problem+json: `type`, `title`, `detail`, and `field`, `position`, `got`, `expected`
            where they apply. Empty where the answer was no problem+json.
    """

    def __init__(self, message: str, *, status: int | None = None, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.problem = problem or {}

    @property
    def kind(self) -> str:
        """Last word of the problem's type, e.g. `unknown-field`; empty without a problem."""
        return str(self.problem.get("type", "")).rpartition(":")[2]


class Refused(_WithProblemError):  # noqa: N818 - as DeadlineExceeded
    """The service will not answer this request however often it is sent: `problem` says which field is wrong."""


class Unavailable(_WithProblemError):  # noqa: N818 - as DeadlineExceeded
    """No service could answer now, though the deadline has not passed: go on without, and ask again for the next user.

    Feedback that ends so may or may not be stored: keep it and send the same events again.
    """


def problem_of(content: bytes) -> dict[str, Any]:
    """The members of a problem+json body; empty for any other body."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("type"), str) else {}


def said(status: int, problem: Mapping[str, Any], content: bytes) -> str:
    """One line that tells an answer other than 200."""
    shown = problem.get("detail") or content[:_SHOWN].decode("utf-8", "replace").strip() or "no body"
    return f"HTTP {status}: {shown}"
