"""Infer requests in each form, and what the same candidates are as raw values."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from service.bundle import Bundle, Ids

if TYPE_CHECKING:
    import httpx

    from tests.conftest import Client

DTYPES = {"INT32": "<i4", "INT64": "<i8"}
Infer = Callable[..., "httpx.Response"]


@dataclass(frozen=True)
class Example:
    """The bundle's raw example and its ids."""

    raw: dict[str, Any]
    context_ids: Ids
    candidate_ids: Ids

    @property
    def tensors(self) -> dict[str, Ids]:
        return {"context_ids": self.context_ids, "candidate_ids": self.candidate_ids}


@pytest.fixture(scope="session")
def example(bundle: Bundle) -> Example:
    context, candidates = bundle.example["context"], bundle.example["candidates"]
    return Example(
        {"context": context, "candidates": candidates},
        bundle.encoder.encode_context(context),
        bundle.encoder.encode(bundle.schema.candidate, candidates),
    )


def json_tensor(name: str, ids: Any, datatype: str = "INT32", *, flat: bool = False) -> dict[str, Any]:
    ids = np.asarray(ids)
    data = ids.ravel().tolist() if flat else ids.tolist()
    return {"name": name, "datatype": datatype, "shape": list(ids.shape), "data": data}


def binary_body(tensors: dict[str, Any], datatypes: dict[str, str] | str = "INT32", **header: Any) -> tuple[bytes, int]:
    """JSON and bytes by the letter of the extension, and the length of the JSON."""
    inputs, parts = [], []
    for name, ids in tensors.items():
        datatype = datatypes if isinstance(datatypes, str) else datatypes[name]
        parts.append(np.asarray(ids).astype(DTYPES[datatype]).tobytes())
        described = {"name": name, "datatype": datatype, "shape": list(np.shape(ids))}
        inputs.append({**described, "parameters": {"binary_data_size": len(parts[-1])}})
    start = json.dumps({"inputs": inputs, **header}).encode()
    return start + b"".join(parts), len(start)


def post_binary(client: Client, body: bytes, length: int | str, path: str = "student") -> httpx.Response:
    headers = {"inference-header-content-length": str(length), "content-type": "application/octet-stream"}
    return client.post(f"/v2/models/{path}/infer", content=body, headers=headers)


def binary_outputs(response: httpx.Response) -> dict[str, np.ndarray]:
    """Output name → numbers of an answer whose outputs are binary or JSON."""
    length = int(response.headers.get("inference-header-content-length", len(response.content)))
    start, found = length, {}
    for output in json.loads(response.content[:length])["outputs"]:
        assert output["datatype"] == "FP32"
        if "data" in output:
            found[output["name"]] = np.array(output["data"], np.float32)
        else:
            size = output["parameters"]["binary_data_size"]
            found[output["name"]] = np.frombuffer(response.content[start : start + size], "<f4")
            start += size
        assert [len(found[output["name"]])] == output["shape"]
    assert start == len(response.content)
    return found


class Wire:
    """The builders above, for tests: they cannot import this file."""

    tensor = staticmethod(json_tensor)
    binary = staticmethod(binary_body)
    post = staticmethod(post_binary)
    outputs = staticmethod(binary_outputs)


@pytest.fixture(scope="session")
def wire() -> Wire:
    return Wire()


@pytest.fixture
def infer(client: Client) -> Infer:
    """Posts a JSON request with these inputs to the student."""

    def send(inputs: Any, path: str = "student", **header: Any) -> httpx.Response:
        return client.post(f"/v2/models/{path}/infer", json={"inputs": inputs, **header})

    return send
