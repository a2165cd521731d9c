# ruff: noqa: INP001 - a script, no package
"""Make the password of the database at the first start, into a volume: the project brings none, nobody thinks of one.

    python make_secrets.py /secrets

Writes `postgres-password`, which PostgreSQL's image reads, and `pgpass`, which libpq reads (`passfile=`) and takes only
with mode 0600. What is there already stays. Runs in the service's image, as its user, on the standard library alone.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from secrets import token_urlsafe

PASSWORD, PGPASS = "postgres-password", "pgpass"
HOST, PORT, DATABASE, USER = "postgres", 5432, "ctr", "ctr"


def make(folder: Path) -> None:
    """Both files, of one password; `pgpass` is made again from the password that is there."""
    password_file = folder / PASSWORD
    if not password_file.exists():
        _write(password_file, token_urlsafe(32), 0o444)  # another user's container reads it; nobody else has the volume
    password = password_file.read_text()
    _write(folder / PGPASS, f"{HOST}:{PORT}:{DATABASE}:{USER}:{password}\n", 0o600)


def _write(path: Path, text: str, mode: int) -> None:
    """Whole or not at all."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        os.fchmod(file.fileno(), mode)  # whatever the umask
        file.write(text)
    new.replace(path)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
