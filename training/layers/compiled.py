"""What the compiled operators of training/native share: which tensors they take, and tensors as arrays they read."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[np.float32] | npt.NDArray[np.int16]


def is_taken(numbers: Tensor) -> bool:
    """Whether they compute on it; not while it is traced, where an exporter must see torch's own operators."""
    known = numbers.dtype in (torch.float32, torch.bfloat16) and numbers.device.type == "cpu"
    return known and not torch.compiler.is_compiling()


def array_of(numbers: Tensor) -> Array:
    """The same memory as numpy's, which has no bfloat16: its bits, as int16."""
    found: Array = (numbers.view(torch.int16) if numbers.dtype == torch.bfloat16 else numbers).detach().numpy()
    return found
