"""A small real bundle (a factorization machine, fixed random weights) and clients that ask an app for answers.

The graph is made with onnx.helper; the expected logits come from a loop over field pairs in numpy: the two share
nothing but the weights.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partialmethod
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from service.app import Service, create_app
from service.bundle import (
    Buckets,
    Bundle,
    Calibration,
    Catalogue,
    Category,
    Encoder,
    Field,
    Flops,
    Golden,
    Graph,
    Manifest,
    Role,
    Schema,
    Vocabulary,
    write_bundle,
)
from service.scoring import ScorerFactory
from service.settings import Settings

os.environ.setdefault("CTR_EVENTS", "")  # a test that wants events says where; the default would be the working folder


def pytest_collection_finish() -> None:
    """Let no full collection of garbage look at what was imported: with torch and its like it took over a second."""
    gc.collect()
    gc.freeze()


DIMENSIONS = 4
CALIBRATION = Calibration(slope=0.9, intercept=-0.5)
CONTEXT = (
    Field(name="user", role=Role.CONTEXT),
    Field(name="hour", role=Role.CONTEXT, numeric=Buckets((6.0, 12.0, 18.0))),
)
CANDIDATE = (
    Field(name="item", role=Role.CANDIDATE),
    Field(name="category", role=Role.CANDIDATE),
    Field(name="price", role=Role.CANDIDATE, numeric=Category("log_squared")),
)
VOCABULARIES = {
    "user": Vocabulary(tuple(f"u{i}" for i in range(20))),
    "item": Vocabulary(tuple(f"i{i}" for i in range(30))),
    "category": Vocabulary(("books", "music", "games", "日本語's")),
    "price": Vocabulary(tuple(str(i) for i in range(40))),
}


@dataclass(frozen=True)
class Weights:
    """One table for all fields: linear_V, embedding_VD and the first row of each field."""

    linear_V: np.ndarray
    embedding_VD: np.ndarray
    offsets_F: np.ndarray
    bias: float

    @classmethod
    def random(cls, sizes: list[int], seed: int) -> Weights:
        rng = np.random.default_rng(seed)
        total = sum(sizes)
        linear_V = rng.normal(0, 0.5, total).astype(np.float32)
        embedding_VD = rng.normal(0, 0.4, (total, DIMENSIONS)).astype(np.float32)
        return cls(linear_V, embedding_VD, np.cumsum([0, *sizes[:-1]]), -1.0)

    def logits(self, context_ids: np.ndarray, candidate_ids: np.ndarray) -> np.ndarray:
        """Logits [N], one candidate and one pair of fields at a time, in float64."""
        logits = []
        for candidate_F in candidate_ids:
            rows = np.concatenate([context_ids[0], candidate_F]) + self.offsets_F
            embedded_FD = self.embedding_VD[rows].astype(np.float64)
            pairs = sum(float(embedded_FD[i] @ embedded_FD[j]) for i, j in combinations(range(len(rows)), 2))
            logits.append(self.bias + float(self.linear_V[rows].astype(np.float64).sum()) + pairs)
        return np.array(logits, np.float32)


def onnx_graph(weights: Weights, context_fields: int) -> bytes:
    """The same machine as a graph: ½ Σ_d [(Σ_f e)² − Σ_f e²], context summed once and broadcast."""
    constants = {
        "linear": weights.linear_V,
        "embedding": weights.embedding_VD,
        "context_offsets": weights.offsets_F[:context_fields].astype(np.int32),
        "candidate_offsets": weights.offsets_F[context_fields:].astype(np.int32),
        "bias": np.array([weights.bias], np.float32),
        "half": np.array([0.5], np.float32),
        "axis_1": np.array([1], np.int64),
    }
    nodes = []
    for side in ("context", "candidate"):
        nodes += [
            helper.make_node("Add", [f"{side}_ids", f"{side}_offsets"], [f"{side}_rows"]),
            helper.make_node("Gather", ["linear", f"{side}_rows"], [f"{side}_weights"]),
            helper.make_node("Gather", ["embedding", f"{side}_rows"], [f"{side}_embedded"]),
            helper.make_node("Mul", [f"{side}_embedded", f"{side}_embedded"], [f"{side}_squared"]),
            helper.make_node("ReduceSum", [f"{side}_weights", "axis_1"], [f"{side}_linear"], keepdims=0),
            helper.make_node("ReduceSum", [f"{side}_embedded", "axis_1"], [f"{side}_sum"], keepdims=0),
            helper.make_node("ReduceSum", [f"{side}_squared", "axis_1"], [f"{side}_squares"], keepdims=0),
        ]
    nodes += [
        helper.make_node("Add", ["context_sum", "candidate_sum"], ["sum"]),
        helper.make_node("Add", ["context_squares", "candidate_squares"], ["squares"]),
        helper.make_node("Mul", ["sum", "sum"], ["sum_squared"]),
        helper.make_node("Sub", ["sum_squared", "squares"], ["difference"]),
        helper.make_node("ReduceSum", ["difference", "axis_1"], ["twice_pairs"], keepdims=0),
        helper.make_node("Mul", ["twice_pairs", "half"], ["pairs"]),
        helper.make_node("Add", ["context_linear", "candidate_linear"], ["linear_sum"]),
        helper.make_node("Add", ["linear_sum", "bias"], ["biased"]),
        helper.make_node("Add", ["biased", "pairs"], ["logits"]),
    ]
    return graph_bytes(nodes, constants, candidate_fields=len(weights.offsets_F) - context_fields)


def graph_bytes(
    nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], candidate_fields: int, output: str = "logits"
) -> bytes:
    """A model with the signature that all models share, unless `output` says otherwise."""
    graph = helper.make_graph(
        nodes,
        "test",
        [
            helper.make_tensor_value_info("context_ids", TensorProto.INT32, [1, None]),
            helper.make_tensor_value_info("candidate_ids", TensorProto.INT32, ["N", candidate_fields]),
        ],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N"])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def probabilities(logits_N: np.ndarray, calibration: Calibration = CALIBRATION) -> list[float]:
    """The definition: 1 / (1 + exp(−(slope · logit + intercept)))."""
    return (1 / (1 + np.exp(-(calibration.slope * logits_N.astype(np.float64) + calibration.intercept)))).tolist()


def make_bundle(
    *, name: str = "tiny", seed: int = 0, with_context: bool = True, with_catalogue: bool = True, flops: float = 100.0
) -> Bundle:
    """A bundle whose golden logits and example probabilities come from `Weights.logits`."""
    schema = Schema((CONTEXT if with_context else ()) + CANDIDATE)
    needed = [field.name for field in schema.fields if not isinstance(field.numeric, Buckets)]
    encoder = Encoder(schema, {field: VOCABULARIES[field] for field in needed})
    weights = Weights.random(encoder.sizes, seed)
    rng = np.random.default_rng(seed + 1)
    context_sizes, candidate_sizes = np.split(np.array(encoder.sizes), [len(schema.context)])
    contexts = [rng.integers(0, context_sizes).astype(np.int32)[None] for _ in range(3)]
    candidates = [rng.integers(0, candidate_sizes, (n, len(candidate_sizes))).astype(np.int32) for n in (1, 2, 57)]
    golden_logits = [weights.logits(*pair) for pair in zip(contexts, candidates, strict=True)]
    items = [f"i{i}" for i in range(10)]
    columns = {
        "item": items,
        "category": [["books", "music", "games", "日本語's"][i % 4] for i in range(10)],
        "price": [float(3 * i) for i in range(10)],
    }
    context: dict[str, Any] = {"user": "u3", "hour": 13} if with_context else {}
    catalogue = Catalogue(items, encoder.encode(schema.candidate, columns))
    example_columns = {field: column[:4] for field, column in columns.items()}
    logits_N = weights.logits(encoder.encode_context(context), catalogue.candidate_ids_IF[:4])
    example = {"context": context, "candidates": example_columns, "probabilities": probabilities(logits_N)}
    return Bundle(
        manifest=Manifest(
            name=name,
            version="v1",
            architecture="fm",
            schema_digest=schema.digest,
            parameters=int(weights.linear_V.size * (DIMENSIONS + 1) + 1),
            flops=Flops(effective=flops / 2, executed=flops, candidates=200),
            graph=Graph(form="split", opset=17, timings_us={"split": {"200": 12.5}}),
            calibration=CALIBRATION,
            metrics={"test_auc": 0.75},
            lineage={"recipe": "tests/conftest.py"},
            files={},
        ),
        encoder=encoder,
        catalogue=catalogue if with_catalogue else None,
        golden=Golden.of(np.concatenate(contexts), candidates, golden_logits),
        example={**example, "items": items[:4]} if with_catalogue else example,
        model_onnx=onnx_graph(weights, len(schema.context)),
        model_card="# tiny\n",
    )


class Client:
    """Asks one app over HTTP semantics without a socket; the app's lifespan runs from `open` to `close`."""

    def __init__(self, app: Service) -> None:
        self.app = app
        self._runner = asyncio.Runner()
        self._lifespan = app.router.lifespan_context(app)

    def open(self) -> Client:
        self.run(self._lifespan.__aenter__())
        return self

    def close(self) -> None:
        self.run(self._lifespan.__aexit__(None, None, None))
        self._runner.close()

    def run(self, coroutine: Any) -> Any:
        return self._runner.run(coroutine)

    def session(self) -> httpx.AsyncClient:
        """For use inside `run`, e.g. for requests at the same time."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://test")

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            async with self.session() as session:
                return await session.request(method, path, **options)

        response: httpx.Response = self.run(send())
        return response

    get = partialmethod(request, "GET")
    post = partialmethod(request, "POST")

    def post_body(self, path: str, body: bytes) -> httpx.Response:
        return self.post(path, content=body, headers={"content-type": "application/json"})

    def metric(self, name: str, **labels: str) -> float:
        """The value of one sample, 0 if it does not exist yet."""
        return self.app.service_state.metrics.registry.get_sample_value(name, labels) or 0.0


OpenClient = Callable[..., Client]


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the bundles student, teacher, no-context and no-catalogue."""
    root = tmp_path_factory.mktemp("bundles")
    write_bundle(root / "student", make_bundle(name="tiny-student"))
    write_bundle(root / "teacher", make_bundle(name="tiny-teacher", seed=7, flops=10_000.0))
    write_bundle(root / "no-context", make_bundle(name="tiny-flat", with_context=False))
    write_bundle(root / "no-catalogue", make_bundle(name="tiny-bare", with_catalogue=False))
    return root


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """The student's bundle in memory, as written before reading."""
    return make_bundle(name="tiny-student")


@pytest.fixture(scope="session")
def build_graph() -> Callable[..., bytes]:
    """`graph_bytes`, for graphs that no bundle should have."""
    return graph_bytes


@pytest.fixture
def broken(bundle: Bundle, tmp_path: Path) -> Callable[..., Path]:
    """Writes the student's bundle with some parts replaced and returns its root."""

    def write(**parts: Any) -> Path:
        write_bundle(tmp_path / "broken", dataclasses.replace(bundle, **parts))
        return tmp_path / "broken"

    return write


@pytest.fixture(scope="session")
def client_of() -> Iterator[Callable[[Settings], Client]]:
    """Opens clients of new apps with these settings; they live as long as the session."""
    opened: list[Client] = []

    def open_one(settings: Settings) -> Client:
        opened.append(Client(create_app(settings)).open())
        return opened[-1]

    yield open_one
    for client in opened:
        client.close()


@pytest.fixture
def open_client(bundles: Path) -> Iterator[OpenClient]:
    """Opens clients of new apps; keyword arguments are settings, `scorer_factories` excepted."""
    opened: list[Client] = []

    def open_one(scorer_factories: dict[str, ScorerFactory] | None = None, **settings: Any) -> Client:
        given = {"student_bundle": bundles / "student", "teacher_bundle": bundles / "teacher", **settings}
        opened.append(Client(create_app(Settings(**given), scorer_factories)).open())
        return opened[-1]

    yield open_one
    for client in opened:
        client.close()


@pytest.fixture(scope="session")
def client(bundles: Path) -> Iterator[Client]:
    """One app with student and teacher, shared by the tests that only ask."""
    settings = Settings(student_bundle=bundles / "student", teacher_bundle=bundles / "teacher")
    opened = Client(create_app(settings)).open()
    yield opened
    opened.close()
