"""Event files: what a phase does, step by step, for TensorBoard and whatever else reads its format.

    events.out.tfevents     in the phase's folder: `tensorboard --logdir runs` shows every run and phase

    train/loss, train/learning_rate, train/rows_per_second     every 32 steps
    validation/…, train/epoch_loss                             every epoch, at the step that ends it
    config/text_summary, _hparams_/…                           what the phase was given, at step 0

One file per phase, only ever appended to, an epoch at a time and before the state that a killed phase resumes from.
Opened again, it is cut after the last epoch that this state knows: nothing is lost, no point stands twice. The usual
way, a new file that tells readers to purge, leaves doubled points to every reader that does not.

A record is: length (uint64), masked CRC of it, the protocol buffer, masked CRC of that. tensorboardX encodes; the price
of not using its writer, a thread that flushes when it likes, is these lines.
"""

from __future__ import annotations

import json
import os
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tensorboardX import summary  # type: ignore[import-untyped]
from tensorboardX.proto.event_pb2 import Event  # type: ignore[import-untyped]
from tensorboardX.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
from tensorboardX.record_writer import masked_crc32c  # type: ignore[import-untyped]

FILE = "events.out.tfevents"

_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
_AROUND = _LENGTH.size + 2 * _CRC.size
"""Bytes of a record beside its content."""


def describe(folder: Path, config: Mapping[str, Any], hyperparameters: Mapping[str, Any]) -> None:
    """Begin a phase's event file with what the phase was given; one that has begun is left as it is.

    Args:
        folder: of the phase.
        config: nested tables, shown as text.
        hyperparameters: name → number or word, by which TensorBoard compares phases; others are left out.
    """
    path = folder / FILE
    if path.exists():
        return
    text = "".join(f"    {line}\n" for line in json.dumps(config, indent=2).splitlines())  # Markdown: shown as it is
    plain = {name: value for name, value in hyperparameters.items() if isinstance(value, int | float | str)}
    metrics = dict.fromkeys(("validation/auc", "validation/log_loss"), 0.0)
    given = [summary.text("config", text), *summary.hparams(plain, metrics)]
    _append(path, [Event(wall_time=time.time(), file_version="brain.Event:2"), *(_event(0, each) for each in given)])


class EventLog:
    """The event file of a phase, to be appended to.

    Args:
        folder: of the phase.
        finished: steps of the epochs that are kept; what the file holds beyond is cut.
    """

    def __init__(self, folder: Path, *, finished: int) -> None:
        self._path = folder / FILE
        self._pending: list[Event] = []
        if self._path.exists():
            kept = max((end for end, event in records(self._path.read_bytes()) if event.step <= finished), default=0)
            os.truncate(self._path, kept)

    def add(self, step: int, scalars: Mapping[str, float]) -> None:
        """One point per scalar at this step, counted from the phase's first; kept in memory until `flush`."""
        self._pending += [_event(step, summary.scalar(name, value)) for name, value in scalars.items()]

    def flush(self) -> None:
        """Append what was added to the file, and wait until it is on disk."""
        _append(self._path, self._pending)
        self._pending = []


class Pace:
    """Loss and rows per second of an epoch, told every few steps; without an event file nobody listens."""

    def __init__(self, events: EventLog | None) -> None:
        self._events = events
        self._rows, self._total, self._step, self._at = 0, 0.0, 0, time.perf_counter()

    def advance(self, rows: int) -> None:
        """Some rows more are done."""
        self._rows += rows

    def tell(self, total: float, step: int, *, first: int, learning_rate: float) -> None:
        """Add a point for the steps since the last one.

        Args:
            total: sum of the losses of the epoch's steps so far.
            step: of the epoch, from 1.
            first: steps before the epoch.
            learning_rate: of this step.
        """
        now = time.perf_counter()
        if self._events is not None:
            loss, speed = (total - self._total) / (step - self._step), self._rows / (now - self._at)
            told = {"train/loss": loss, "train/learning_rate": learning_rate, "train/rows_per_second": speed}
            self._events.add(first + step, told)
        self._rows, self._total, self._step, self._at = 0, total, step, now


def records(content: bytes) -> Iterator[tuple[int, Event]]:
    """Where each record ends, and its event; stops before one that is cut short or damaged."""
    start = 0
    while start + _AROUND <= len(content):
        header = content[start : start + _LENGTH.size]
        (length,) = _LENGTH.unpack(header)
        begin = start + _LENGTH.size + _CRC.size
        end = begin + length + _CRC.size
        payload = content[begin : begin + length]
        told = content[start + _LENGTH.size : begin], content[begin + length : end]
        if told != (_CRC.pack(masked_crc32c(header)), _CRC.pack(masked_crc32c(payload))):
            return
        yield end, Event.FromString(payload)
        start = end


def _event(step: int, what: Summary) -> Event:
    return Event(wall_time=time.time(), step=step, summary=what)


def _append(path: Path, events: list[Event]) -> None:
    with path.open("ab") as file:
        for event in events:
            payload = event.SerializeToString()
            header = _LENGTH.pack(len(payload))
            file.write(header + _CRC.pack(masked_crc32c(header)) + payload + _CRC.pack(masked_crc32c(payload)))
        file.flush()
        os.fsync(file.fileno())
