"""Which process listens on a TCP port, as far as this user may see it.

Source: proc(5): a listening socket is a line of /proc/net/tcp or tcp6 with state 0A, its inode a link in /proc/PID/fd.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_LISTENING = "0A"
_STATE, _INODE, _LOCAL = 3, 9, 1


def holders(port: int, root: Path = Path("/")) -> list[str]:
    """`PID (command line)` of every process that listens on `port`; empty where others' processes are not shown."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port, root)}
    found = []
    for process in sorted((root / "proc").glob("[0-9]*")):
        with suppress(OSError):  # gone meanwhile, or another user's
            if any(str(descriptor.readlink()) in sockets for descriptor in (process / "fd").iterdir()):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
                found.append(f"{process.name} ({command[:80]})")
    return found


def _inodes(port: int, root: Path) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            lines = (root / "proc/net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[_STATE] == _LISTENING and int(fields[_LOCAL].rpartition(":")[2], 16) == port:
                yield fields[_INODE]
