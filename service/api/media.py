"""What a body is declared to be: JSON, or 415."""

from __future__ import annotations

from starlette.types import Scope

from service.api.hot import JSON, header
from service.api.problems import Problem, ProblemError, shown

_JSON = JSON.encode()


def check_json(scope: Scope) -> None:
    """Raise ProblemError (415) unless the body is declared as JSON."""
    declared = header(scope, b"content-type") or b""
    if declared != _JSON and declared.partition(b";")[0].strip().lower() != _JSON:
        got = shown(declared.decode("latin-1")) if declared else "no Content-Type"
        raise ProblemError(
            Problem.UNSUPPORTED_MEDIA_TYPE, f"got {got}, expected Content-Type: {JSON}", got=got, expected=JSON
        )
