"""Starting the process of a shadow, and what it does before anything else.

A process and not a thread, because a thread would share the interpreter lock with the requests. A program of its own
and not a fork, because a fork would share the state of every thread and lock of a serving process. It gives way to
whatever else wants its core from its first instant on, before its interpreter has started.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
_LOWEST = 19


def launch(channel: socket.socket) -> subprocess.Popen[bytes]:
    """Start a child on its end of a channel; to be called from a thread that outlives it (see `_end_with_parent`)."""
    from service.multiprocess import MULTIPROCESS  # noqa: PLC0415 - the child imports this file before it gives way

    environment = {name: value for name, value in os.environ.items() if name != MULTIPROCESS}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-m", "service.shadow.launch", str(channel.fileno())]
    child = subprocess.Popen(command, pass_fds=[channel.fileno()], env=environment, stdin=subprocess.DEVNULL)
    with suppress(ProcessLookupError):
        _give_way(child.pid)  # starting an interpreter takes tens of milliseconds, on the worker's core if need be
    return child


def main(descriptor: int) -> None:
    """Be the child on an inherited end of a channel."""
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which closes the channel when it is done
    from service.shadow.child import run  # noqa: PLC0415 - what takes a second of processor time comes last

    with socket.socket(fileno=descriptor) as channel:
        run(channel)


def _give_way(pid: int) -> None:
    """Let a process run only where a core has nothing else to do: on SCHED_IDLE every other one comes first."""
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.setpriority(os.PRIO_PROCESS, pid, _LOWEST)


def _end_with_parent() -> None:
    """Have Linux kill this process with the thread that started it, even if it is stopped then.

    Elsewhere, and where the parent is gone already, the channel is closed and ends it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]))
