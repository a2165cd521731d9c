"""Starting the process of a shadow, and what it does before anything else.

A process and not a thread, because a thread would share the interpreter lock with the requests. A program of its own
and not a fork, because a fork would share the state of every thread and lock of a serving process. It gives way to
whatever else wants its core before it imports a single library.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys

from service.multiprocess import MULTIPROCESS

_PR_SET_PDEATHSIG = 1
_LOWEST = 19


def launch(channel: socket.socket) -> subprocess.Popen[bytes]:
    """Start a child on its end of a channel; to be called from a thread that outlives it (see `_end_with_parent`)."""
    environment = {name: value for name, value in os.environ.items() if name != MULTIPROCESS}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-m", "service.shadow.launch", str(channel.fileno())]
    return subprocess.Popen(command, pass_fds=[channel.fileno()], env=environment, stdin=subprocess.DEVNULL)


def main(descriptor: int) -> None:
    """Be the child on an inherited end of a channel."""
    _end_with_parent()
    _give_way()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which closes the channel when it is done
    from service.shadow.child import run  # noqa: PLC0415 - what takes a second of processor time comes last

    with socket.socket(fileno=descriptor) as channel:
        run(channel)


def _give_way() -> None:
    """Run only where a core has nothing else to do: on SCHED_IDLE every other process comes first, at once."""
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(_LOWEST)


def _end_with_parent() -> None:
    """Have Linux kill this process with the thread that started it, even if it is stopped then.

    Elsewhere, and where the parent is gone already, the channel is closed and ends it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]))
