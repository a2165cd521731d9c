from __future__ import annotations

import pytest

from loadtest.proof.compose.bad_input import errors


@pytest.mark.parametrize(
    ("printed", "found"),
    [
        ("error: CTR_PORT: got 'x'\n", ["error: CTR_PORT: got 'x'"]),
        ('{"level": "error", "event": "CTR_PORT: got"}', ["CTR_PORT: got"]),
        (' Container x-student-run  Creating\n{"level": "info", "event": "up"}\n12\n', []),
        ("error: one\nerror: two", ["error: one", "error: two"]),
        ("Traceback (most recent call last):\n  File", []),
    ],
)
def test_only_the_services_errors_are_found_in_either_form(printed: str, found: list[str]) -> None:
    assert errors(printed) == found
