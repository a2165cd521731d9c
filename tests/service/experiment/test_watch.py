from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.events import open_store
from service.events.sql import SqlStore
from service.experiment.watch import watch
from tests.service.experiment.report.stores import STUDENT, TEACHER, Behaviour, World, document, fill

HARMED = World(units=3000, arms={"teacher": TEACHER, "student": Behaviour(ctr=0.05)})
SAME = World(units=600, arms={"teacher": TEACHER, "student": STUDENT})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = open_store(f"sqlite:{tmp_path}/events.sqlite3", attribution_ms=3_600_000)
    yield opened
    opened.close()


def test_an_experiment_that_does_harm_is_stopped_with_its_reasons(store: SqlStore) -> None:
    fill(store, document(), HARMED)
    name, verdict = next(watch(store, every_s=0.01))
    assert (name, verdict.verdict) == ("rank", "stop_harm")
    *_, last = store.revisions()
    assert (last.revision, last.action) == (2, "kill")
    assert last.reason.startswith("watch: ")
    assert verdict.reasons[0].text in last.reason
    assert last.document["experiments"][0]["kill"]


def test_what_does_no_harm_goes_on(store: SqlStore) -> None:
    fill(store, document(), SAME)
    looks = watch(store, every_s=0.01)
    assert {next(looks)[1].verdict for _ in range(2)} != {"stop_harm"}
    assert store.latest_revision() == 1


def test_a_stopped_experiment_is_not_looked_at_again(store: SqlStore) -> None:
    fill(store, document(), HARMED)
    looks = watch(store, every_s=0.01)
    next(looks)
    fill(store, document(phase=2), SAME)
    assert next(looks)[1].verdict != "stop_harm"


def test_at_most_half_of_the_time_is_spent_looking(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, document(), SAME)
    slept: list[float] = []
    monkeypatch.setattr("service.experiment.watch.time.sleep", slept.append)
    looks = watch(store, every_s=0.0)
    begun = time.monotonic()
    next(looks)
    looked_s = time.monotonic() - begun
    next(looks)
    assert slept[0] > 0.5 * looked_s
