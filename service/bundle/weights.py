"""weights.npz: a DAGFM's trained numbers but its embeddings, for a scorer that computes the model itself.

The graph in model.onnx stays the reference; this file is optional, and nothing but a DAGFM whose connection lets the
context be computed once has one.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from service.bundle.errors import BundleError

WEIGHTS = "weights.npz"
Numbers = npt.NDArray[np.float32]

_ARRAYS = ("connection_FF", "p_LFFD", "readout_TF", "bias_1")
_OUTER = (*_ARRAYS, "q_LFFD")


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """A DAGFM of F fields and L layers. Raises BundleError for anything but finite float32 arrays that fit together.

        h^1 = C e     h^{t+1}_s = h^1_s ⊙ Σ_{f ≤ s} φ_t(h^t_f)     logit = bias + Σ_t Σ_s readout[t, s] Σ_d h^t_s
        inner (q is None): φ(h_f) = h_f ⊙ p[f, s]                  outer: φ(h_f) = ⟨h_f, p[f, s]⟩ · q[f, s]

    Weights of edges f > s have no meaning; the connection's must be zero.
    """

    connection_FF: Numbers
    """C[s, f], lower-triangular."""
    p_LFFD: Numbers
    q_LFFD: Numbers | None
    readout_TF: Numbers
    """T = L + 1 states."""
    bias_1: Numbers

    def __post_init__(self) -> None:
        arrays = self._arrays()
        for name, array in arrays.items():
            if array.dtype != np.float32 or array.ndim != _axes(name) or 0 in array.shape:
                got = f"{array.dtype} of shape {array.shape}"
                raise BundleError(f"{WEIGHTS}: {name} is {got}, expected float32 with {_axes(name)} axes; export again")
            if not np.isfinite(array).all():
                raise BundleError(f"{WEIGHTS}: {name} has numbers that are not finite; train or export again")
        for name, shape in self._expected_shapes().items():
            if name in arrays and arrays[name].shape != shape:
                raise BundleError(f"{WEIGHTS}: {name} has shape {arrays[name].shape}, expected {shape}; export again")
        if np.triu(self.connection_FF, 1).any():
            raise BundleError(f"{WEIGHTS}: connection_FF mixes later fields into earlier ones; export without weights")

    @property
    def kind(self) -> str:
        """`inner` or `outer`."""
        return "inner" if self.q_LFFD is None else "outer"

    def check_fits(self, fields: int, dimension: int) -> None:
        """Raise BundleError unless they are those of so many fields and embeddings of this length."""
        found = (len(self.connection_FF), self.p_LFFD.shape[-1])
        if found != (fields, dimension):
            raise BundleError(
                f"{WEIGHTS}: for {found[0]} fields and embeddings of length {found[1]}, the bundle has {fields} fields "
                f"and embeddings of length {dimension}; export again"
            )

    def to_bytes(self) -> bytes:
        """The arrays as an uncompressed .npz."""
        buffer = io.BytesIO()
        np.savez(buffer, **self._arrays())  # type: ignore[arg-type] # a mapping of arrays, not of options
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Weights:
        """Inverse of `to_bytes`; raises BundleError if the file is truncated or holds something else."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as archive:
                found = sorted(archive.files)
                arrays: dict[str, Any] = {name: np.ascontiguousarray(archive[name]) for name in found if name in _OUTER}
        except Exception as error:  # numpy and zipfile raise many kinds, all meaning "not this format"
            raise BundleError(f"{WEIGHTS}: not readable: {error}; export again") from error
        if found not in (sorted(_ARRAYS), sorted(_OUTER)):
            raise BundleError(f"{WEIGHTS}: holds {found}, expected {sorted(_OUTER)}, without q_LFFD for inner")
        return cls(**{"q_LFFD": None, **arrays})

    def _arrays(self) -> dict[str, Numbers]:
        return {name: getattr(self, name) for name in _OUTER if getattr(self, name) is not None}

    def _expected_shapes(self) -> dict[str, tuple[int, ...]]:
        fields, layers, dimension = len(self.connection_FF), len(self.p_LFFD), self.p_LFFD.shape[-1]
        edges = (layers, fields, fields, dimension)
        readout = (layers + 1, fields)
        square = (fields, fields)
        return {"connection_FF": square, "p_LFFD": edges, "q_LFFD": edges, "readout_TF": readout, "bias_1": (1,)}


def _axes(name: str) -> int:
    """How many axes an array has whose name ends in a letter for each."""
    return len(name.rpartition("_")[2])
