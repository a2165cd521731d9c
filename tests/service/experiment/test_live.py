from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.events.store import EventStore, StoreError
from service.events.urls import open_store
from service.experiment.document import Document, DocumentError, check
from service.experiment.live import POLL_S, Current, Live, RevisionConflictError


def models() -> tuple[list[str], list[str]]:
    """What answers, and what of it has a bundle here."""
    return ["student", "teacher", "far"], ["student", "teacher"]


def document(**changes: Any) -> Document:
    arms = [{"name": "teacher", "weight": 5000}, {"name": "student", "weight": 5000}]
    return check({"experiments": [{"name": "a", "arms": arms, **changes}]})


@pytest.fixture
def path(tmp_path: Path) -> str:
    return f"sqlite:{tmp_path}/events.sqlite3"


@pytest.fixture
def store(path: str) -> Iterator[EventStore]:
    opened = open_store(path, attribution_ms=1000)
    yield opened
    opened.close()


def live(store: EventStore, first: Document | None = None) -> Live:
    started = Live(store, models)
    started.start(first)
    return started


def test_without_a_document_everything_is_the_students(store: EventStore) -> None:
    current = live(store).current
    assert (current.revision, current.document) == (0, Document())


def test_the_first_document_is_the_files_and_stays_over_restarts(
    store: EventStore, caplog: pytest.LogCaptureFixture
) -> None:
    assert live(store, document()).current.revision == 1
    with caplog.at_level(logging.WARNING):
        again = live(store, document(ramp=5.0))
    assert again.current.document == document()
    assert "revision 1 of the experiments is in force, not the file" in caplog.text


def test_a_change_is_kept_with_its_history(store: EventStore) -> None:
    changed = live(store, document())
    assert changed.put(document(ramp=5.0), reason="slowly") == 2
    assert changed.kill("a", reason="burning") == 3
    assert [(kept.revision, kept.action, kept.reason) for kept in changed.revisions()][1:] == [
        (2, "put", "slowly"),
        (3, "kill", "burning"),
    ]
    assert changed.current.document == document(ramp=5.0, kill=True)


def test_a_refused_document_leaves_the_one_in_force(store: EventStore) -> None:
    running = live(store, document())
    with pytest.raises(DocumentError, match="v2"):
        running.put(check({"default": "v2"}), reason="")
    with pytest.raises(DocumentError, match="default: got far, expected a model with a bundle here"):
        running.put(check({"default": "far"}), reason="")
    with pytest.raises(DocumentError, match="phase = 2"):
        running.put(document(salt="another"), reason="")
    with pytest.raises(DocumentError, match="one of a"):
        running.kill("b", reason="")
    assert running.current == Current.of(1, document()) or running.current.document == document()
    assert len(running.revisions()) == 1


def test_another_process_finds_a_change_within_a_second(store: EventStore, path: str) -> None:
    async def change_elsewhere() -> int:
        here, there = live(store, document()), live(open_store(path, attribution_ms=1000))
        async with there.watching():
            here.kill(None, reason="now")
            for _ in range(20):
                await asyncio.sleep(POLL_S / 5)
                if there.current.document.experiments[0].kill:
                    break
        return there.current.revision

    assert asyncio.run(change_elsewhere()) == 2


def test_of_two_changes_at_once_one_is_told_to_read_again(store: EventStore, path: str) -> None:
    first, second = live(store, document()), live(open_store(path, attribution_ms=1000))
    first.put(document(ramp=5.0), reason="", expected=1)
    with pytest.raises(RevisionConflictError, match="revision 2 is in force, not 1"):
        second.put(document(ramp=50.0), reason="", expected=1)


def test_a_change_that_expects_nothing_is_made_on_top_of_the_latest(store: EventStore, path: str) -> None:
    first, second = live(store, document()), live(open_store(path, attribution_ms=1000))
    first.put(document(ramp=5.0), reason="")
    assert second.kill(None, reason="") == 3
    assert second.current.document == document(ramp=5.0, kill=True)


def test_while_the_store_is_away_what_is_in_force_stays(store: EventStore, caplog: pytest.LogCaptureFixture) -> None:
    running = live(store, document())
    store.close()

    async def watch() -> None:
        async with running.watching():
            await asyncio.sleep(3 * POLL_S)

    asyncio.run(watch())
    assert running.current.document == document()
    assert caplog.text.count("revision 1 of the experiments stays in force") == 1
    with pytest.raises(StoreError):
        running.put(document(ramp=5.0), reason="")


def test_every_change_is_told(store: EventStore) -> None:
    told: list[int] = []
    running = Live(store, models, lambda current: told.append(current.revision))
    running.start(document())
    running.kill(None, reason="")
    assert told == [1, 2]
