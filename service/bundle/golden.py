"""Golden requests: ids and the logits the trained model gives them; the service proves itself on them at load."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.bundle.encoder import Ids
from service.bundle.errors import BundleError

Logits = npt.NDArray[np.float32]

_KEYS = ("context_ids_GF", "candidate_ids_RF", "offsets", "logits_R")
_DTYPES = (np.dtype(np.int32), np.dtype(np.int32), np.dtype(np.float32))


@dataclass(frozen=True)
class GoldenRequest:
    """One request: context_ids [1, Fc], candidate_ids [N, Ff], and the trained model's logits [N]."""

    context_ids: Ids
    candidate_ids: Ids
    logits: Logits


@dataclass(frozen=True)
class Golden:
    """G requests. Raises BundleError for none, ragged shapes, other dtypes and logits that are not finite."""

    requests: tuple[GoldenRequest, ...]

    def __post_init__(self) -> None:
        if not self.requests:
            raise BundleError("golden.npz: no request; expected at least one")
        for i, request in enumerate(self.requests):
            rows = len(request.candidate_ids)
            shapes = (request.context_ids.shape, request.candidate_ids.shape, request.logits.shape)
            if request.context_ids.shape[:1] != (1,) or request.logits.shape != (rows,) or rows == 0:
                raise BundleError(f"golden.npz: request {i} has shapes {shapes}, expected [1, Fc], [N, Ff], [N]")
            dtypes = (request.context_ids.dtype, request.candidate_ids.dtype, request.logits.dtype)
            if dtypes != _DTYPES:
                raise BundleError(f"golden.npz: request {i} has dtypes {dtypes}, expected {_DTYPES}")
            if not np.isfinite(request.logits).all():
                raise BundleError(f"golden.npz: request {i} has logits that are not finite")

    def __iter__(self) -> Iterator[GoldenRequest]:
        return iter(self.requests)

    def to_bytes(self) -> bytes:
        """The requests as an uncompressed .npz: contexts stacked, candidates concatenated with offsets."""
        sizes = [len(request.logits) for request in self.requests]
        buffer = io.BytesIO()
        np.savez(
            buffer,
            context_ids_GF=np.concatenate([request.context_ids for request in self.requests]),
            candidate_ids_RF=np.concatenate([request.candidate_ids for request in self.requests]),
            offsets=np.cumsum([0, *sizes]),
            logits_R=np.concatenate([request.logits for request in self.requests]),
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Golden:
        """Inverse of `to_bytes`; raises BundleError if the file is truncated or holds something else."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as archive:
                contexts, candidates, offsets, logits = (archive[key] for key in _KEYS)
        except Exception as error:  # numpy and zipfile raise many kinds, all meaning "not this format"
            raise BundleError(f"golden.npz: not readable: {error}; expected arrays {_KEYS}") from error
        shapes = {key: array.shape for key, array in zip(_KEYS, (contexts, candidates, offsets, logits), strict=True)}
        if [len(shape) for shape in shapes.values()] != [2, 2, 1, 1] or offsets.dtype.kind != "i":
            raise BundleError(f"golden.npz: got shapes {shapes} and {offsets.dtype} offsets, expected 2, 2, 1, 1 axes")
        if not _fit(offsets, len(contexts), len(candidates), len(logits)):
            raise BundleError(f"golden.npz: offsets {offsets.tolist()!r:.200} do not fit arrays of shapes {shapes}")
        return cls.of(contexts, np.split(candidates, offsets[1:-1]), np.split(logits, offsets[1:-1]))

    @classmethod
    def of(cls, contexts_GF: Ids, candidates: Sequence[Ids], logits: Sequence[Logits]) -> Golden:
        """G requests from stacked contexts [G, Fc], and per request its candidates [N, Ff] and logits [N]."""
        rows = zip(contexts_GF, candidates, logits, strict=True)
        return cls(tuple(GoldenRequest(context[None], ids, scores) for context, ids, scores in rows))


def _fit(offsets: npt.NDArray[np.int64], requests: int, candidates: int, logits: int) -> bool:
    """Offsets ascend from 0 to the count of logits, one step per request."""
    return (
        len(offsets) == requests + 1
        and offsets[0] == 0
        and offsets[-1] == candidates == logits
        and bool((np.diff(offsets) > 0).all())
    )
