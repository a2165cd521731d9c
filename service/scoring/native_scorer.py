"""NativeScorer: a DAGFM from a bundle's weights, computed by our own C instead of onnxruntime.

Context once, embeddings gathered in the same pass, no layers of tensors in between. An optional build: where
`service.native._dagfm` is missing, `build_native` says so and onnxruntime goes on answering.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from service.bundle import BundleError, EmbeddingTable, Ids, Weights
from service.scoring.scorer import Logits

if TYPE_CHECKING:
    from service.native import _dagfm


class NotBuiltError(RuntimeError):
    """The C extension is not there."""


class NativeScorer:
    """Scores with `weights` and `embedding`, for fields of `sizes` ids, the first `context_fields` being the context.

    The table is read where it is, not copied.

    Args:
        weights: of a bundle.
        embedding: of the same bundle.
        sizes: number of ids of each field.
        context_fields: Fc, fewer than there are fields.
        level: an instruction set of `_dagfm.levels()`; the best one if None.

    Raises:
        NotBuiltError: the extension cannot be imported.
        BundleError: weights and table do not fit each other or the fields.
    """

    name = "native"

    def __init__(
        self,
        weights: Weights,
        embedding: EmbeddingTable,
        sizes: list[int],
        context_fields: int,
        level: str | None = None,
    ) -> None:
        try:
            self._model: _dagfm.Model = extension().Model(
                embedding=embedding.rows_VD,
                scale=embedding.scale_V1,
                sizes=np.array(sizes, np.int64),
                connection=weights.connection_FF,
                p=weights.p_LFFD,
                q=weights.q_LFFD,
                readout=weights.readout_TF,
                bias=float(weights.bias_1[0]),
                context_fields=context_fields,
                level=level,
            )
        except ValueError as error:
            raise BundleError(f"weights.npz, embedding.npy: {error}; export again") from error

    @property
    def level(self) -> str:
        """The instruction set it computes with."""
        return self._model.level

    def score(self, context_ids: Ids, candidate_ids: Ids) -> Logits:
        """Logits [N] float32 of candidates [N, Ff] int32 in the context [1, Fc] int32.

        Raises:
            ValueError: another shape or element type, or an id that its field does not have.
        """
        logits_N: Logits = np.empty(len(candidate_ids), np.float32)
        self._model.score(np.ascontiguousarray(context_ids), np.ascontiguousarray(candidate_ids), logits_N)
        return logits_N


def extension() -> ModuleType:
    """The module `_dagfm`; raises NotBuiltError saying why there is none."""
    try:
        return importlib.import_module("service.native._dagfm")
    except ImportError as error:
        raise NotBuiltError(f"the C extension is not built ({error}); install again with a C compiler") from error
