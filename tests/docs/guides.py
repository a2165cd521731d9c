"""How documents are run: their blocks in order, as a reader would type them, in a folder that looks like a checkout.

    sh       run by bash; what it shows follows in the next block: `json` must have the same keys, `text` the same lines
    python   run by the interpreter
    console  too long to run here: its commands, options and make targets must exist
    others   are compared with a file, or only shown

In `text` and in strings of `json`, … stands for anything. `http://127.0.0.1:8000` is replaced by the address of a
running service.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
URL = "http://127.0.0.1:8000"
TOKEN = "as the reader has set it"  # noqa: S105 - of a service that lives as long as a test
GUIDES = sorted(path for path in (ROOT / "docs").glob("*.md") if path.name not in {"README.md", "api.md"})
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    language: str
    text: str
    line: int
    """Of its first line in the document, from 1."""


def blocks_of(text: str) -> list[Block]:
    """The fenced blocks of a document that name a language, in order."""
    found = re.finditer(r"^```(\w+)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return [Block(match[1], match[2], text.count("\n", 0, match.start()) + 2) for match in found]


def shown_after(blocks: list[Block]) -> Iterator[tuple[Block, Block | None]]:
    """Every block that can be run, with what the document shows of its output."""
    for block, following in pairwise([*blocks, None]):
        if block is not None and block.language in {"sh", "python"}:
            yield block, following if following and following.language in {"json", "text"} else None


@dataclass(frozen=True)
class Checkout:
    """A folder with `.venv`, `bundles` and `docs`, and a service that was started in it."""

    folder: Path
    url: str

    def run(self, block: Block) -> str:
        """What a block prints; fails with its line and its errors."""
        text = block.text.replace(URL, self.url)
        interpreter = ["bash", "-eo", "pipefail", "-c"] if block.language == "sh" else [sys.executable, "-c"]
        return self.run_command([*interpreter, text], f"line {block.line}")

    def run_command(self, command: list[str], what: str) -> str:
        """What a command prints."""
        ran = subprocess.run(
            command, cwd=self.folder, env=environment(), capture_output=True, text=True, timeout=60, check=False
        )
        assert ran.returncode == 0, f"{what}: {ran.stderr}{ran.stdout}"
        return ran.stdout


def environment() -> dict[str, str]:
    """That of the service and of its readers."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("CTR_")}
    return {**bare, "CTR_ADMIN_TOKEN": TOKEN, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}


def check_shown(shown: Block, printed: str) -> None:
    """That a document shows what was printed."""
    if shown.language == "json":
        assert shape(json.loads(shown.text)) == shape(json.loads(printed)), f"line {shown.line}: {printed}"
        return
    rest = [" ".join(line.split()) for line in printed.splitlines()]
    for line in filter(None, (" ".join(line.split()) for line in shown.text.splitlines())):
        pattern = re.escape(line).replace("…", ".*")
        place = next((index for index, candidate in enumerate(rest) if re.fullmatch(pattern, candidate)), None)
        assert place is not None, f"line {shown.line}: {line!r} is not printed, or not in this order: {printed}"
        rest = rest[place + 1 :]


def shape(value: Any) -> Any:
    """A JSON value with its numbers forgotten and its strings reduced to that they are; lists keep their first."""
    match value:
        case dict():
            return {key: shape(member) for key, member in value.items()}
        case list():
            return [shape(member) for member in value[:1]]
        case bool() | None:
            return value
        case str():
            return "…"
        case _:
            return 0
