from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.api.v2.tensors import InputReader

IDS = np.array([[0, 3], [1, 0], [4, 2]], np.int32)


@pytest.fixture
def reader() -> InputReader:
    return InputReader("candidate_ids", ("item", "price"), (5, 4), max_rows=10)


def described(datatype: str) -> dict[str, Any]:
    return {"name": "candidate_ids", "datatype": datatype, "shape": [3, 2]}


@pytest.mark.parametrize("datatype", ["INT32", "INT64"])
@pytest.mark.parametrize("offset", range(9))
def test_bytes_become_aligned_int32_wherever_they_start(reader: InputReader, datatype: str, offset: int) -> None:
    raw = IDS.astype({"INT32": "<i4", "INT64": "<i8"}[datatype]).tobytes()
    ids_NF = reader.from_bytes(described(datatype), b"x" * offset + raw + b"more", offset, len(raw))
    assert ids_NF.tolist() == IDS.tolist()
    assert ids_NF.dtype == np.int32
    assert ids_NF.flags.aligned
    assert ids_NF.flags.c_contiguous


def test_aligned_int32_is_not_copied(reader: InputReader) -> None:
    body = IDS.tobytes()
    ids_NF = reader.from_bytes(described("INT32"), body, 0, len(body))
    assert np.shares_memory(ids_NF, np.frombuffer(body, np.uint8))


@pytest.mark.parametrize("data", [IDS.tolist(), IDS.ravel().tolist()])
def test_nested_and_flat_data_are_the_same_ids(reader: InputReader, data: Any) -> None:
    ids_NF = reader.from_json({**described("INT64"), "data": data})
    assert ids_NF.tolist() == IDS.tolist()
    assert ids_NF.dtype == np.int32


def test_the_shape_of_metadata_leaves_rows_open_unless_there_is_one(reader: InputReader) -> None:
    assert reader.shape == [-1, 2]
    assert InputReader("context_ids", ("user",), (5,), max_rows=None).shape == [1, 1]
