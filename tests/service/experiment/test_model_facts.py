from __future__ import annotations

from service.events.sql import SqlStore
from service.experiment.model_facts import ModelFacts, note_models, read_models

STUDENT = ModelFacts(flops_effective=15e6, flops_executed=18e6)
TEACHER = ModelFacts(flops_effective=70e6, flops_executed=75e6)


def test_facts_are_read_back_and_the_last_word_counts(store: SqlStore) -> None:
    assert read_models(store) == {}
    note_models(store, {"student@v1": TEACHER, "teacher@v1": TEACHER})
    note_models(store, {"student@v1": STUDENT})
    assert read_models(store) == {"student@v1": STUDENT, "teacher@v1": TEACHER}


def test_the_key_of_units_is_no_model(store: SqlStore) -> None:
    key = store.unit_key()
    note_models(store, {"student@v1": STUDENT})
    assert store.unit_key() == key
    assert list(read_models(store)) == ["student@v1"]
