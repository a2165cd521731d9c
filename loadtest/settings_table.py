"""The table of settings in docs/operator.md, made of the docstrings of `service.settings.Settings`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from service.bundle import replace_file
from service.settings import PREFIX, Settings

BEGIN, END = "<!-- settings: made by `make api-docs` -->\n", "<!-- end of settings -->\n"


def table() -> str:
    """Every setting in the order of the class: its variable, its default, its meaning."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        meaning = " ".join((field.description or "").split()).replace("|", "\\|")
        lines.append(
            f"| `{PREFIX}{name.upper()}` | {_shown(field.get_default(call_default_factory=True))} | {meaning} |"
        )
    return "\n".join(lines) + "\n"


def placed(document: str) -> str:
    """A document with the table between its marks.

    Raises:
        ValueError: it has no marks.
    """
    pattern = f"{re.escape(BEGIN)}.*?{re.escape(END)}"
    if not re.search(pattern, document, flags=re.DOTALL):
        raise ValueError(f"no table to replace, expected {BEGIN.strip()} and {END.strip()}")
    return re.sub(pattern, lambda _: f"{BEGIN}\n{table()}\n{END}", document, flags=re.DOTALL)


def _shown(default: Any) -> str:
    """A default as its variable would have it; nothing for none."""
    if default is None or default is PydanticUndefined or isinstance(default, SecretStr) or default in ("", {}):
        return ""
    return f"`{default if isinstance(default, str | Path) else json.dumps(default)}`"


def main(document: Annotated[Path, typer.Argument(help="With the marks.")] = Path("docs/operator.md")) -> None:
    """Write the table of settings anew."""
    replace_file(document, placed(document.read_text()).encode())
    typer.echo(f"{document}: {len(Settings.model_fields)} settings")


if __name__ == "__main__":
    typer.run(main)
