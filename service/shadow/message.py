"""What goes through the socket between a worker and its shadow: one answered request there, sums of results back.

A SOCK_SEQPACKET pair keeps messages whole and is never written in part: there is room for all of a message, or none of
it is sent. What the worker has sent and the child has not yet received waits in the kernel, so the queue is as bounded
as the socket's send buffer, it outlives no process, and filling it needs no thread and no lock of ours.

    header, 28 bytes | five texts, separated by NUL | body | probabilities, N float32
"""

from __future__ import annotations

import errno
import mmap
import socket
import struct
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np

from service.api.answers import Probabilities

QUEUE_BYTES = 2 << 20
"""Asked of the system as the send buffer. Linux doubles it for its own accounting and caps it at net.core.wmem_max;
the largest message is 32 bytes less than what it grants: 4 MiB, or 416 KiB where the cap is at its usual default."""

_HEADER = struct.Struct("<IIIqd")
"""Lengths of the texts, of the body, N; ts_ms, latency_s."""
_SEPARATOR = "\0"
_FLOAT32 = np.dtype("<f4")


class Refusal(Enum):
    """Why a message was not sent; the label of ctr_shadow_dropped_total."""

    FULL = "full"
    """There is no room: the shadow is slower than what it is offered, or hangs."""
    TOO_LARGE = "too_large"
    """No message of this size ever fits."""
    NO_CHILD = "no_child"
    """The shadow's process is dead, starting or not started."""


class AnsweredBy(NamedTuple):
    """The model that answered a request."""

    name: str
    """As the settings call it: student, teacher or a name of CTR_ARMS."""
    version: str
    """`name@version` of it."""
    ids: str = ""
    """Digest of its schema and vocabularies: whether the other model understands its ids. Empty if not known."""


class Offer(NamedTuple):
    """One answered request."""

    primary: AnsweredBy
    other: str
    """Name of the model to compare with."""
    request_id: str
    ts_ms: int
    """When it was answered."""
    latency_s: float
    body: bytes
    probabilities_N: Probabilities


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Both ends of a channel."""

    worker: socket.socket
    child: socket.socket


def open_pair() -> Pair:
    """A channel; the worker's end never blocks."""
    worker, child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    worker.setblocking(False)
    for end in (worker, child):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, QUEUE_BYTES)
    return Pair(worker=worker, child=child)


_REFUSALS = {errno.EMSGSIZE: Refusal.TOO_LARGE, errno.ENOBUFS: Refusal.FULL, errno.ENOMEM: Refusal.FULL}


def send(end: socket.socket, offer: Offer) -> Refusal | None:
    """Send an offer at once and whole, or not at all, and say why not; never blocks."""
    text = _SEPARATOR.join((*offer.primary, offer.other, offer.request_id)).encode("utf-8", "replace")
    probabilities_N = np.ascontiguousarray(offer.probabilities_N, _FLOAT32)
    header = _HEADER.pack(len(text), len(offer.body), len(probabilities_N), offer.ts_ms, offer.latency_s)
    try:
        end.sendmsg((header, text, offer.body, probabilities_N.data), (), socket.MSG_DONTWAIT)
    except BlockingIOError:
        return Refusal.FULL
    except OSError as error:
        return _REFUSALS.get(error.errno or 0, Refusal.NO_CHILD)
    return None


def receive_buffer(end: socket.socket) -> memoryview:
    """Memory for any message that the other end, made alike, can send; pages that no message reaches take none."""
    return memoryview(mmap.mmap(-1, end.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)))


def receive(end: socket.socket, buffer: memoryview) -> Offer | None:
    """The next offer; None once the worker has closed its end.

    Raises:
        BlockingIOError: there is none, and the socket does not block.
    """
    size = end.recv_into(buffer)
    if not size:
        return None
    text_length, body_length, rows, ts_ms, latency_s = _HEADER.unpack_from(buffer)
    body_at = _HEADER.size + text_length
    name, version, ids, other, request_id = bytes(buffer[_HEADER.size : body_at]).decode().split(_SEPARATOR)
    body = bytes(buffer[body_at : body_at + body_length])
    probabilities_N = np.frombuffer(bytes(buffer[body_at + body_length : size]), "<f4", rows)
    primary = AnsweredBy(name, version, ids)
    return Offer(primary, other, request_id, ts_ms, latency_s, body, probabilities_N)
