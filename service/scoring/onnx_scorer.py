"""OnnxScorer: any exported graph, run by onnxruntime on one thread.

One thread per run, not spinning: batches are small, and a second thread or a spinning one takes the core that HTTP
needs. Arena and memory pattern are off because N changes with every request and both would keep the largest seen.

A graph may refer to embedding.npy instead of holding the numbers; see shared_table.py.
"""

from __future__ import annotations

import numpy as np
import onnxruntime

from service.bundle import BundleError, EmbeddingTable, Ids
from service.scoring.scorer import Logits
from service.scoring.shared_table import SharedTable

INPUTS = {"context_ids": ("tensor(int32)", 2), "candidate_ids": ("tensor(int32)", 2)}
"""Input name → element type and rank. A model without context fields takes context_ids [1, 0]."""
OUTPUTS = {"logits": ("tensor(float)", 1)}
"""Output name → element type and rank."""

_OUTPUT_NAMES = list(OUTPUTS)

BLOCK = 512
"""Most candidates of one run. Beyond it intermediate results leave the cache, and without an arena their memory goes
back to the system after every run: the page faults then cost more than the arithmetic."""


class OnnxScorer:
    """Scores with the graph in `model_onnx`, the bytes of a bundle's model.onnx, and the table it refers to.

    Raises:
        BundleError: onnxruntime refuses the graph or the table, the graph refers to another file, or its inputs or
            outputs are not the ones every model shares.
    """

    name = "onnxruntime"

    def __init__(self, model_onnx: bytes, embedding: EmbeddingTable | None = None) -> None:
        options = _options()
        self._table = SharedTable(embedding, options)
        try:
            self._session = onnxruntime.InferenceSession(model_onnx, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises many kinds, all meaning "not a graph I can run"
            raise BundleError(f"model.onnx: onnxruntime refuses it: {error}; export again") from error
        self._table.check(self._session)
        _check("inputs", self._session.get_inputs(), INPUTS)
        _check("outputs", self._session.get_outputs(), OUTPUTS)

    def score(self, context_ids: Ids, candidate_ids: Ids) -> Logits:
        """Logits [N] float32 of candidates [N, Ff] int32 in the context [1, Fc] int32, in runs of up to BLOCK."""
        if len(candidate_ids) <= BLOCK:
            return self._run(context_ids, candidate_ids)
        starts = range(0, len(candidate_ids), BLOCK)
        return np.concatenate([self._run(context_ids, candidate_ids[start : start + BLOCK]) for start in starts])

    def _run(self, context_ids: Ids, candidate_ids: Ids) -> Logits:
        feeds = {"context_ids": context_ids, "candidate_ids": candidate_ids}
        logits_N: Logits = self._session.run(_OUTPUT_NAMES, feeds)[0]
        return logits_N


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 3  # errors only: they are raised anyway
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


def _check(what: str, found: list[onnxruntime.NodeArg], expected: dict[str, tuple[str, int]]) -> None:
    """Raise BundleError unless the graph has exactly the expected names, element types and ranks."""
    got = {value.name: (value.type, len(value.shape)) for value in found}
    if got != expected:
        raise BundleError(
            f"model.onnx: {what} are {_described(got)}, expected {_described(expected)}; "
            "export with the signature that all models share"
        )


def _described(values: dict[str, tuple[str, int]]) -> str:
    return ", ".join(f"{name}: {kind} of rank {rank}" for name, (kind, rank) in values.items()) or "none"
