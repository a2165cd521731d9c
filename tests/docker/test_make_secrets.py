"""The database's password: made once, read by both sides, never changed by another start."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "docker/make_secrets.py"


def make(folder: Path, umask: int = 0o022) -> dict[str, str]:
    """Run the script and return what it wrote."""
    subprocess.run([sys.executable, "-S", SCRIPT, folder], check=True, umask=umask)
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_both_sides_read_the_same_password(tmp_path: Path) -> None:
    made = make(tmp_path)
    password = made["postgres-password"]
    assert len(password) >= 32
    assert made == {"postgres-password": password, "pgpass": f"postgres:5432:ctr:ctr:{password}\n"}


def test_another_start_changes_nothing_and_another_volume_gets_another_password(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    first = make(tmp_path / "one")
    assert make(tmp_path / "one") == first
    assert make(tmp_path / "other") != first


def test_a_start_that_was_cut_off_is_made_good(tmp_path: Path) -> None:
    password = make(tmp_path)["postgres-password"]
    (tmp_path / "pgpass").unlink()
    (tmp_path / "pgpass.new").write_text("half")
    assert make(tmp_path)["pgpass"].endswith(f":{password}\n")


def test_modes_are_what_each_reader_takes_whatever_the_umask(tmp_path: Path) -> None:
    """Libpq ignores a password file that others may read; PostgreSQL's image reads its own as another user."""
    make(tmp_path, umask=0o077)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"postgres-password": 0o444, "pgpass": 0o600}
