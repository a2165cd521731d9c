"""Arrays as .npy files that are mapped, not read: any number of processes share the pages the file has in memory.

The header is padded to a page, so that the numbers begin on one: aligned for every instruction, and at an offset that
a graph can name. numpy reads such a file like any other.
"""

from __future__ import annotations

import io
import math
import mmap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from service.bundle.errors import BundleError

DATA_AT = 4096
"""Bytes before the first number."""
_MAGIC = b"\x93NUMPY\x01\x00"


def npy_parts(array: npt.NDArray[Any]) -> tuple[bytes, memoryview]:
    """The file's header and its numbers; the second is the array's own memory, which must be C-contiguous."""
    return _header(array.dtype, array.shape), array.data.cast("B")


def map_file(path: Path) -> memoryview:
    """The content of a file, mapped read-only; it stays mapped as long as anything refers to it."""
    with path.open("rb") as file:
        if not file.seek(0, io.SEEK_END):
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def npy_array(file: str, content: memoryview) -> npt.NDArray[Any]:
    """The array in `content`, on its memory, read-only; raises BundleError naming `file` for any other layout."""
    try:
        header = io.BytesIO(content[:DATA_AT])
        np.lib.format.read_magic(header)
        shape, _fortran, dtype = np.lib.format.read_array_header_1_0(header, max_header_size=DATA_AT)
    except Exception as error:  # numpy raises many kinds, all meaning "not this format"
        raise BundleError(f"{file}: not readable: {error}; export again") from error
    size = DATA_AT + math.prod(shape) * dtype.itemsize
    if dtype.hasobject or content[:DATA_AT] != _header(dtype, shape) or len(content) != size:
        raise BundleError(
            f"{file}: {len(content)} bytes with a header for {dtype} of shape {shape}, expected {size} bytes with the "
            f"numbers in C order from byte {DATA_AT} on; export again"
        )
    return np.frombuffer(content[DATA_AT:], dtype).reshape(shape)


def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    described = f"{{'descr': {np.lib.format.dtype_to_descr(dtype)!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    room = DATA_AT - len(_MAGIC) - 2
    return _MAGIC + room.to_bytes(2, "little") + described.encode().ljust(room - 1) + b"\n"
