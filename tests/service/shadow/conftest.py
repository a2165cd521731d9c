"""Services as processes of their own, for shadows of them and in them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Starts `python -m service serve` with options and variables on a free port and returns its URL."""
    started: list[subprocess.Popen[str]] = []

    def serve_one(*options: str, **variables: str) -> str:
        command = [sys.executable, "-m", "service", "serve", "--port", "0", *options]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CTR_")} | {"CTR_EVENTS": ""}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**kept, **variables})
        started.append(process)
        assert process.stdout is not None
        return re.findall(r"http://127\.0\.0\.1:\d+", process.stdout.readline())[0]

    yield serve_one
    for process in started:
        process.terminate()
        process.communicate()
