"""The smallest bundle that has everything: both roles, both numeric rules, a catalogue. Needs numpy alone."""

from __future__ import annotations

import numpy as np
import pytest

from service.bundle import (
    Buckets,
    Bundle,
    Calibration,
    Catalogue,
    Category,
    EmbeddingTable,
    Encoder,
    Field,
    Flops,
    Golden,
    Graph,
    Manifest,
    Role,
    Schema,
    StoredTable,
    Vocabulary,
)

SCHEMA = Schema(
    (
        Field(name="user", role=Role.CONTEXT),
        Field(name="hour", role=Role.CONTEXT, numeric=Buckets((6.0, 12.0, 18.0))),
        Field(name="item", role=Role.CANDIDATE),
        Field(name="price", role=Role.CANDIDATE, numeric=Category("log_squared")),
    )
)


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    vocabularies = {
        "user": Vocabulary(("ada", "bob")),
        "item": Vocabulary(("lamp", "42", "été 日本")),
        "price": Vocabulary(("1", "2", "3")),
    }
    return Encoder(SCHEMA, vocabularies)


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    return Manifest(
        name="tiny",
        version="v1",
        architecture="none",
        schema_digest=SCHEMA.digest,
        parameters=7,
        flops=Flops(effective=10.0, executed=12.5, candidates=200),
        graph=Graph(form="split", opset=17, timings_us={"split": {"200": 12.5}}),
        calibration=Calibration(slope=0.9, intercept=-0.5),
        metrics={"test_auc": 0.75},
        lineage={"recipe": "tests"},
        embedding=StoredTable(stored_as="float32", bytes=160, bytes_as_float32=160),
        files={},
    )


@pytest.fixture(scope="session")
def tiny(encoder: Encoder, manifest: Manifest) -> Bundle:
    """A bundle as export would hand it to write_bundle; the graph is any bytes, the store does not open it."""
    items = ["lamp", "42", "été 日本"]
    candidate_ids_IF = encoder.encode(SCHEMA.candidate, {"item": items, "price": [1, 2.0, 30]})
    contexts_GF = np.array([[2, 3], [0, 5]], np.int32)
    candidates = [candidate_ids_IF[:1], candidate_ids_IF]
    logits = [np.array([0.5], np.float32), np.array([-1.0, 0.0, 2.5], np.float32)]
    return Bundle(
        manifest=manifest,
        encoder=encoder,
        catalogue=Catalogue(items, candidate_ids_IF),
        golden=Golden.of(contexts_GF, candidates, logits),
        example={"context": {"user": "ada", "hour": 13}, "items": items, "probabilities": [0.5, 0.25, 0.125]},
        model_onnx=bytes(range(256)) * 3,
        model_card="# Tiny\n\nÀ card.\n",
        embedding=EmbeddingTable(rows_VD=np.arange(40, dtype=np.float32).reshape(20, 2)),
    )
