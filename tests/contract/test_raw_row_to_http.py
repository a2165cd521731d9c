"""The contract of the whole project: raw row → prepare → 20 training steps → export → HTTP, equal to torch.

Nothing in between is replaced. The probabilities an HTTP client gets for raw values must be the sigmoid of the logits
that the trained torch model gives to the ids that prepare wrote for the same raw rows.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from export.pack import pack
from export.parity import model_logits
from service.bundle import read_bundle, write_bundle
from service.settings import Settings
from training.config import from_dict
from training.data.synthetic import SyntheticConfig, generate
from training.distill import distill
from training.finetune import finetune
from training.metrics import sigmoid
from training.run import Run
from training.teach import teach

DATA = {"rows": 6_000, "users": 100, "items": 60, "seed": 4}
FIT = {"learning_rate": 0.01, "weight_decay": 1e-6, "batch_size": 128, "max_epochs": 1, "patience": 1}
STEPS = {**FIT, "max_steps_per_epoch": 20}
CONFIG: dict[str, Any] = {
    "run": {"name": "contract", "seed": 1},
    "data": {"set": "synthetic", **DATA},
    "teach": STEPS,
    "distill": {**STEPS, "click_weight": 0.1, "logit_weight": 921.6},
    "finetune": STEPS,
}
PAIRS = {
    "crossnet → dagfm_outer": ({"model": "crossnet", "layers": 2}, {"model": "dagfm_outer", "layers": 2}),
    "cin → dagfm_inner": ({"model": "cin", "maps": [6, 4]}, {"model": "dagfm_inner", "layers": 2}),
    "xdeepfm → dagfm_outer": (
        {"model": "xdeepfm", "maps": [6, 4], "hidden": [8, 8]},
        {"model": "dagfm_outer", "layers": 2},
    ),
}
ARM_PHASES = {"student": "finetune", "teacher": "teach"}


@pytest.fixture(scope="module", params=PAIRS, ids=list(PAIRS))
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, client_of: Any) -> Any:
    """A trained run and a client of the service with both its bundles."""
    root = tmp_path_factory.mktemp("contract")
    teacher, student = ({"embedding_size": 4, **model} for model in PAIRS[request.param])
    run = Run.open(root / "runs", from_dict({**CONFIG, "teacher": teacher, "student": student}, "contract"))
    prepared = run.prepare(None)
    finetune(run, distill(run, teach(run)))
    for arm, phase in ARM_PHASES.items():
        pack(run.load(phase), prepared, name=f"contract-{arm}", metrics={}, root=root / "bundles" / arm)
    settings = Settings(student_bundle=root / "bundles/student", teacher_bundle=root / "bundles/teacher")
    return run, prepared, client_of(settings)


@pytest.fixture(scope="module")
def raw_rows() -> pl.DataFrame:
    """Raw rows of the test split: some of their users and items were never in training."""
    log = generate(SyntheticConfig(**DATA))
    return log.columns[log.split.test[:40]]


def expected_probabilities(run: Run, phase: str, prepared: Any, number: int, rows: pl.DataFrame) -> np.ndarray:
    """Torch's answer for the context of one test row and the candidates of all, from the ids that prepare wrote."""
    context_fields = len(prepared.encoder.schema.context)
    ids_NF = np.array(prepared.rows("test").ids_NF[: len(rows)])
    logits_N = model_logits(
        run.load(phase).model, ids_NF[number : number + 1, :context_fields], ids_NF[:, context_fields:]
    )
    return sigmoid(logits_N)


@pytest.mark.parametrize("arm", ["student", "teacher"])
def test_served_probabilities_are_the_trained_models(served: Any, raw_rows: pl.DataFrame, arm: str) -> None:
    run, prepared, client = served
    schema = prepared.encoder.schema
    columns = raw_rows.select(field.name for field in schema.candidate).to_dict(as_series=False)
    for number in (0, 7, 39):
        context = raw_rows.select(field.name for field in schema.context).row(number, named=True)
        response = client.post(f"/{arm}/predict", json={"context": context, "candidates": columns})
        assert response.status_code == 200, response.text
        expected_N = expected_probabilities(run, ARM_PHASES[arm], prepared, number, raw_rows)
        np.testing.assert_allclose(response.json()["probabilities"], expected_N, rtol=0, atol=1e-6)


def test_the_three_wire_forms_give_one_answer(served: Any, raw_rows: pl.DataFrame) -> None:
    _run, prepared, client = served
    context = raw_rows.select(field.name for field in prepared.encoder.schema.context).row(0, named=True)
    columns = prepared.example["candidates"]
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    forms = [{"candidates": columns}, {"candidates": rows}, {"items": prepared.example["items"]}]
    answers = [client.post("/predict", json={"context": context, **form}).json()["probabilities"] for form in forms]
    assert answers[0] == answers[1] == answers[2]


def test_the_service_is_ready_because_it_proved_itself(served: Any) -> None:
    _run, _prepared, client = served
    ready = client.get("/readyz").json()
    assert ready["status"] == "ready"
    assert not ready["degraded"]


def test_a_bundle_of_another_model_under_the_same_golden_rows_never_becomes_ready(
    served: Any, client_of: Any, tmp_path: Path
) -> None:
    """Version skew: the graph of one training run with the golden logits of another is refused, with the gap."""
    run, _prepared, _client = served
    root = run.directory.parents[1] / "bundles"
    student, teacher = read_bundle(root / "student"), read_bundle(root / "teacher")
    mixed = dataclasses.replace(student, model_onnx=teacher.model_onnx, embedding=teacher.embedding, weights=None)
    write_bundle(tmp_path / "mixed", mixed)
    response = client_of(Settings(student_bundle=tmp_path / "mixed", teacher_bundle=None)).get("/readyz")
    assert response.status_code == 503
    assert "golden" in response.text
