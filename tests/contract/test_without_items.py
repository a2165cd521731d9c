"""Logs without items: raw rows → prepare → training → export → HTTP, with no catalogue, and with no context either."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export import timing
from export.pack import pack
from service.bundle import read_bundle
from service.settings import Settings
from training.config import from_dict
from training.data.avazu import HEADER
from training.data.prepare import Prepared
from training.run import Run
from training.teach import teach

FIT = {"learning_rate": 0.01, "weight_decay": 1e-6, "batch_size": 128, "max_epochs": 1, "patience": 1}
MODEL = {"model": "crossnet", "embedding_size": 2, "layers": 1}
ROWS = 400


def criteo(path: Path) -> None:
    """Lines of Criteo's format: 13 numbers and 26 categories."""
    draw = random.Random(1)  # noqa: S311 - not a secret
    values = [[str(draw.randrange(5)) for _ in range(13)] + [f"{draw.randrange(4):08x}" for _ in range(26)]] * ROWS
    path.write_text("".join("\t".join([str(draw.randrange(2)), *row]) + "\n" for row in values))


def avazu(path: Path) -> None:
    """Lines of Avazu's format, the values of three days."""
    draw = random.Random(1)  # noqa: S311 - not a secret
    rows = [["1", str(draw.randrange(2)), f"1410{21 + draw.randrange(3)}07"] for _ in range(ROWS)]
    lines = [[*row, *(str(draw.randrange(4)) for _ in HEADER[3:])] for row in rows]
    path.write_text("\n".join(",".join(line) for line in [list(HEADER), *lines]) + "\n")


@pytest.fixture(scope="module", params=[criteo, avazu], ids=lambda write: write.__name__)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, client_of: Any) -> Any:
    """The prepared log, its bundle's directory and a client of the service with it."""
    root = tmp_path_factory.mktemp("without-items")
    request.param(root / "log.csv")
    config = {
        "run": {"name": "without-items", "seed": 1},
        "data": {"set": request.param.__name__},
        "teacher": MODEL,
        "student": MODEL,
        "teach": FIT,
        "distill": {**FIT, "click_weight": 0.1, "logit_weight": 921.6},
        "finetune": FIT,
    }
    run = Run.open(root / "runs", from_dict(config, "tests"))
    prepared = run.prepare(root / "log.csv")
    with pytest.MonkeyPatch.context() as quick:
        quick.setattr(timing, "_SECONDS_PER_ROUND", 0.001)  # how fast which form is, is not asked here
        teach(run)
        pack(run.load("teach"), prepared, name="student", metrics={}, root=root / "student")
    return prepared, root / "student", client_of(Settings(student_bundle=root / "student", teacher_bundle=None))


def test_the_bundle_has_no_catalogue_and_its_example_no_items(served: tuple[Prepared, Path, Any]) -> None:
    prepared, directory, _client = served
    bundle = read_bundle(directory)
    assert prepared.catalogue is None
    assert bundle.catalogue is None
    assert set(bundle.example) == {"context", "candidates", "probabilities"}
    assert len(bundle.example["probabilities"]) == 5
    assert any(len(request.candidate_ids) > 5 for request in bundle.golden.requests)


def test_the_service_answers_the_example_as_the_model_does(served: tuple[Prepared, Path, Any]) -> None:
    _prepared, directory, client = served
    assert client.get("/readyz").json()["status"] == "ready"
    example = dict(read_bundle(directory).example)
    expected = example.pop("probabilities")
    answer = client.post("/predict", json=example)
    assert answer.status_code == 200, answer.text
    np.testing.assert_allclose(answer.json()["probabilities"], expected, rtol=0, atol=1e-6)
    shown = client.get("/models/student/example").json()
    assert shown["items"] == []
    assert shown["candidates"] == example["candidates"]


def test_a_request_that_names_items_is_told_that_there_are_none(served: tuple[Prepared, Path, Any]) -> None:
    _prepared, directory, client = served
    context = read_bundle(directory).example["context"]
    answer = client.post("/predict", json={"context": context, "items": ["1"]})
    assert answer.status_code == 422
    assert "catalogue" in answer.text
