"""DAGFMs with random weights, and their definition written for reading: numpy, float64, one row at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from export.forms import serving_forms
from export.graph import to_onnx
from export.quantize import store, with_table
from export.weights import table_of, weights_of
from service.bundle import Bundle, Calibration, EmbeddingTable, Golden, Ids, Weights, read_bundle, write_bundle
from training.models.registry import build

if TYPE_CHECKING:
    from service.native import _dagfm


@dataclass(frozen=True)
class Dagfm:
    """Weights and the fields they belong to."""

    weights: Weights
    embedding: EmbeddingTable
    sizes: list[int]
    context_fields: int

    @property
    def arguments(self) -> dict[str, object]:
        """Arguments of `_dagfm.Model`."""
        weights = self.weights
        return {
            "embedding": self.embedding.rows_VD,
            "scale": self.embedding.scale_V1,
            "sizes": np.array(self.sizes, np.int64),
            "connection": weights.connection_FF,
            "p": weights.p_LFFD,
            "q": weights.q_LFFD,
            "readout": weights.readout_TF,
            "bias": float(weights.bias_1[0]),
            "context_fields": self.context_fields,
        }

    def model(self, level: str | None = None) -> _dagfm.Model:
        from service.native import _dagfm  # noqa: PLC0415 - tests of other things run without a compiler

        return _dagfm.Model(**self.arguments, level=level)  # type: ignore[arg-type]

    def ids(self, rows: int, seed: int = 0) -> tuple[Ids, Ids]:
        """A context [1, Fc] and candidates [rows, Fx], ids 0 and the last of each table among them."""
        ids_NF = np.random.default_rng(seed).integers(0, self.sizes, (rows + 1, len(self.sizes))).astype(np.int32)
        ids_NF[-1, 0::2], ids_NF[-1, 1::2] = 0, np.array(self.sizes)[1::2] - 1
        return ids_NF[:1, : self.context_fields].copy(), ids_NF[1:, self.context_fields :].copy()

    def expected(self, context_ids: Ids, candidate_ids: Ids) -> np.ndarray:
        """Logits [N] by the definition, every row on its own, in float64."""
        first_F = np.cumsum([0, *self.sizes[:-1]])
        rows = [np.concatenate([context_ids[0], candidate_F]) + first_F for candidate_F in candidate_ids]
        return np.array([self._logit(row_F) for row_F in rows])

    def _logit(self, row_F: np.ndarray) -> float:
        weights = self.weights
        base_FD = weights.connection_FF.astype(float) @ self.embedding.embeddings()[row_F].astype(float)
        state_FD = base_FD
        logit = float(weights.bias_1[0]) + float(weights.readout_TF[0] @ base_FD.sum(1))
        for layer, readout_F in enumerate(weights.readout_TF[1:]):
            messages = [self._message(state_FD, layer, target) for target in range(len(base_FD))]
            state_FD = base_FD * np.array(messages)
            logit += float(readout_F @ state_FD.sum(1))
        return logit

    def _message(self, state_FD: np.ndarray, layer: int, target: int) -> np.ndarray:
        p_LFFD, q_LFFD = self.weights.p_LFFD.astype(float), self.weights.q_LFFD
        message_D = np.zeros(state_FD.shape[1])
        for source in range(target + 1):
            if q_LFFD is None:
                message_D += state_FD[source] * p_LFFD[layer, source, target]
            else:
                message_D += (state_FD[source] @ p_LFFD[layer, source, target]) * q_LFFD[layer, source, target]
        return message_D


def make_dagfm(
    *,
    outer: bool,
    dimension: int,
    context: int,
    candidates: int,
    layers: int,
    connect: str = "triangular",
    seed: int = 0,
) -> Dagfm:
    """Random weights, absent edges too, of a size that keeps logits near 1."""
    random = np.random.default_rng(seed)
    fields = context + candidates
    sizes = [int(size) for size in random.integers(2, 9, fields)]
    edges = (layers, fields, fields, dimension)

    def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
        return random.normal(0, scale, shape).astype(np.float32)

    scale = 1 / np.sqrt(fields * (dimension if outer else 1) ** 0.5)
    mixed_FF = np.tril(normal(fields, fields, scale=0.2)) + np.eye(fields, dtype=np.float32)
    weights = Weights(
        connection_FF=mixed_FF if connect == "triangular" else np.eye(fields, dtype=np.float32),
        p_LFFD=normal(*edges, scale=scale),
        q_LFFD=normal(*edges, scale=scale) if outer else None,
        readout_TF=normal(layers + 1, fields, scale=1 / np.sqrt(fields * dimension)),
        bias_1=normal(1),
    )
    return Dagfm(weights, EmbeddingTable(rows_VD=normal(sum(sizes), dimension, scale=0.5)), sizes, context)


@pytest.fixture(scope="session")
def dagfm_of() -> Callable[..., Dagfm]:
    """`make_dagfm`."""
    return make_dagfm


@pytest.fixture(scope="session")
def dagfm() -> Dagfm:
    """An outer one with everything: context, a connection, remainders in every blocked loop."""
    return make_dagfm(outer=True, dimension=6, context=3, candidates=5, layers=2)


def dagfm_bundle(bundle: Bundle, name: str, stored_as: str = "float32") -> Bundle:
    """`bundle` with a DAGFM in it, its graph and weights exported from torch, its golden logits by the definition."""
    sizes, context = bundle.encoder.sizes, len(bundle.schema.context)
    torch.manual_seed(0)
    model = build(name, {"embedding_size": 6, "layers": 2}, sizes).eval()
    torch.nn.init.normal_(model.embedding.weight_VD, std=0.5)
    with torch.no_grad():
        model.connect_FF += 0.2 * torch.randn(len(sizes), len(sizes))  # type: ignore[operator] # a DAGFM's parameter
    embedding = store(table_of(model).rows_VD, stored_as)
    model = with_table(model, embedding)
    weights = weights_of(model)
    assert weights is not None
    definition = Dagfm(weights, embedding, sizes, context)
    contexts, candidates = zip(*[definition.ids(rows, rows) for rows in (1, 2, 57)], strict=True)
    logits = [definition.expected(*ids).astype(np.float32) for ids in zip(contexts, candidates, strict=True)]
    example, encoder = dict(bundle.example), bundle.encoder
    ids = encoder.encode_context(example["context"]), encoder.encode(bundle.schema.candidate, example["candidates"])
    example["probabilities"] = (1 / (1 + np.exp(-definition.expected(*ids)))).tolist()
    form = serving_forms(model, context)["context_once_dense" if context else "full_rows"]
    return dataclasses.replace(
        bundle,
        manifest=dataclasses.replace(bundle.manifest, architecture=name, calibration=Calibration()),
        golden=Golden.of(np.concatenate(contexts), candidates, logits),
        example=example,
        model_onnx=to_onnx(form, context, len(sizes) - context, embedding),
        embedding=embedding,
        weights=weights,
    )


@pytest.fixture(scope="session")
def inner_bundle(bundle: Bundle) -> Bundle:
    """A DAGFM-inner in the student's bundle."""
    return dagfm_bundle(bundle, "dagfm_inner")


@pytest.fixture(scope="session")
def outer_bundle(bundle: Bundle) -> Bundle:
    """A DAGFM-outer in the student's bundle."""
    return dagfm_bundle(bundle, "dagfm_outer")


@pytest.fixture(scope="session")
def half_bundle(bundle: Bundle) -> Bundle:
    """A DAGFM-inner with its table as float16."""
    return dagfm_bundle(bundle, "dagfm_inner", "float16")


@pytest.fixture(scope="session")
def int8_bundle(bundle: Bundle) -> Bundle:
    """A DAGFM-outer with its table as int8."""
    return dagfm_bundle(bundle, "dagfm_outer", "int8")


@pytest.fixture(scope="session")
def outer_path(outer_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`outer_bundle` on disk."""
    return write_bundle(tmp_path_factory.mktemp("outer"), outer_bundle)


@pytest.fixture(scope="session")
def flat_bundle(bundles: Path) -> Bundle:
    """A DAGFM-outer without context fields."""
    return dagfm_bundle(read_bundle(bundles / "no-context"), "dagfm_outer")
