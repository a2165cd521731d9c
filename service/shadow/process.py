"""One child process and the worker's end of its channel.

What was sent and neither reported as ok nor as error when the channel has ended is lost: the count of every message
is kept under one lock with its sending, so that nothing sent is ever missing from it.
"""

from __future__ import annotations

import selectors
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from time import monotonic
from typing import Self

from service.shadow.brief import Brief
from service.shadow.launch import launch
from service.shadow.message import Offer, Refusal, open_pair, send
from service.shadow.tally import Report, read_report

REST_S = 0.0005
"""Seconds without another try once there was no room. Whoever offers more than the child scores finds the queue full
most of the time, and a system call to learn it again costs more than all else; what is queued lasts far longer."""
DRAIN_S = 2.0
"""Seconds in which a child that is not wanted any more may score what waits."""
_LONGEST_REPORT = 1 << 20


class ShadowProcess:
    """A child that runs; made by `start`."""

    def __init__(self, channel: socket.socket, child: subprocess.Popen[bytes]) -> None:
        self._channel = channel
        self._child = child
        self._lock = Lock()
        self._open = True
        self._sent = 0
        self._reported = 0
        self._full_until = 0.0
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)

    @classmethod
    def start(cls, brief: Brief) -> Self:
        """Start a child and tell it its brief; raises OSError."""
        pair = open_pair()
        with pair.child:
            try:
                child = launch(pair.child)
                pair.worker.send(brief.to_bytes())
            except OSError:
                pair.worker.close()
                raise
        return cls(pair.worker, child)

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._child.pid

    @property
    def full(self) -> bool:
        """Whether there was no room just now."""
        return monotonic() < self._full_until

    def send(self, offer: Offer) -> Refusal | None:
        """Send an offer, or say why not; never waits."""
        with self._lock:
            if not self._open:
                return Refusal.NO_CHILD
            refusal = send(self._channel, offer)
            self._sent += refusal is None
        if refusal is Refusal.FULL:
            self._full_until = monotonic() + REST_S
        return refusal

    def wake(self) -> None:
        """Have `watch` look whether the child is still wanted."""
        with suppress(OSError):
            self._waker.send(b"!")

    def watch(self, wanted: Callable[[], bool], apply: Callable[[Report], None]) -> bool:
        """Apply reports until the channel ends; whether there was one.

        A child that is not wanted any more gets nothing more to score, and DRAIN_S to finish.
        """
        deadline: float | None = None
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                if deadline is None and not wanted():
                    deadline = monotonic() + DRAIN_S
                    self._send_no_more()
                ready = [key.fileobj for key, _ in selector.select(deadline and max(0.0, deadline - monotonic()))]
                if self._woken in ready:
                    self._woken.recv(1 << 10)
                if self._channel in ready and not self._receive(apply):
                    break
                if deadline is not None and monotonic() >= deadline:
                    self._child.kill()
        return self._reported > 0

    def end(self) -> int:
        """Close the channel and see the child gone; how many requests it was sent and did not report."""
        with self._lock:
            self._open = False
            self._channel.close()
        self._waker.close()
        self._woken.close()
        try:
            self._child.wait(DRAIN_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        return self._sent - self._reported

    def _send_no_more(self) -> None:
        with self._lock:
            self._open = False
            self._channel.shutdown(socket.SHUT_WR)

    def _receive(self, apply: Callable[[Report], None]) -> bool:
        """Apply one report; False at the end of the channel."""
        try:
            message = self._channel.recv(_LONGEST_REPORT)
        except ConnectionResetError:  # the child died with messages unread
            return self._receive(apply)
        if not message:
            return False
        report = read_report(message)
        self._reported += report.requests
        apply(report)
        return True
