"""One line of a proof: what was wanted, what was found, whether that is enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from service.bundle import replace_file
from training.progress import console, results, results_table

_SHOWN = {None: "", True: "yes", False: "[red]no[/]"}


@dataclass(frozen=True, kw_only=True)
class Check:
    """One target."""

    what: str
    target: str
    found: str
    met: bool | None
    """None for a row that is there for contrast."""


def show(title: str, checks: Sequence[Check], out: Path) -> int:
    """Print the table, write it as JSON; the exit status: 0 when every target is met, else 1."""
    table = results_table(title, "", "target", "found", "met", left=3)
    for check in checks:
        table.add_row(check.what, check.target, check.found, _SHOWN[check.met])
    results.print(table)
    out.parent.mkdir(parents=True, exist_ok=True)
    replace_file(out, orjson.dumps([asdict(check) for check in checks], option=orjson.OPT_INDENT_2))
    console.print(f"wrote {out}", highlight=False)
    return 1 if any(check.met is False for check in checks) else 0
