"""A real service process that only keeps events, and posts to its /feedback.

It has no bundle, so it is alive and not ready: nothing of it but feedback is wanted here.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import orjson

HEAD = "POST /feedback HTTP/1.1\r\nHost: proof\r\nContent-Type: application/json\r\nContent-Length: "
START_S = 30.0


def free_port() -> int:
    """A TCP port that nobody uses right now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Service:
    """One service on a port, in a process group of its own.

    Args:
        directory: where it runs; made when it does not exist.
        events: URL of its event store.
        port: where it listens.
        workers: how many processes.
    """

    def __init__(self, directory: Path, events: str, port: int, workers: int = 1) -> None:
        bundle = directory / "no-bundle"
        bundle.mkdir(parents=True, exist_ok=True)
        options = ["--port", str(port), "--workers", str(workers), "--student-bundle", str(bundle)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CTR_")}
        self.port = port
        self._log = directory / "service.log"
        self._workers = workers
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "service", "serve", *options, "--log-level", "critical"],
                env={**environment, "CTR_EVENTS": events, "CTR_TEACHER_BUNDLE": str(bundle / "none")},
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Wait until it takes connections; raises RuntimeError if it never does."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.01)
        ended = self._process.poll()
        why = f"none after {START_S:g} s" if ended is None else f"it ended with status {ended}"
        raise RuntimeError(f"no service on port {self.port}: {why}; {self._log} has its last words")

    def worker_pids(self) -> list[int]:
        """The processes that answer."""
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if self._workers > 1 else []
        return [int(child) for child in children if "spawn_main" in _command(int(child))] or [pid]

    def kill(self) -> None:
        """SIGKILL to every process of it at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """Let it end as it likes to."""
        self._process.terminate()
        self._process.wait(START_S)


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


class Poster:
    """One connection that posts feedback and waits for each answer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer; raises OSError or asyncio.IncompleteReadError where none comes whole."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(f"{HEAD}{len(body)}\r\n\r\n".encode() + body)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        return int(head[9:12]), await reader.readexactly(int(length[1]) if length else 0)

    def close(self) -> None:
        """Drop the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def body_of(events: list[dict[str, object]]) -> bytes:
    """One event as it is, several as a list."""
    return orjson.dumps(events[0] if len(events) == 1 else {"events": events})
