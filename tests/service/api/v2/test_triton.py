"""NVIDIA's own client, over a real socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
import uvicorn
from tritonclient.utils import InferenceServerException

from service.app import create_app
from service.bundle import Bundle
from service.settings import Settings


@pytest.fixture(scope="module")
def address(bundles: Path) -> Iterator[str]:
    """Host and port of a service behind uvicorn."""
    settings = Settings(student_bundle=bundles / "student", teacher_bundle=bundles / "teacher")
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(create_app(settings), http="httptools", lifespan="on", log_config=None, access_log=False)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    host, port = listener.getsockname()
    yield f"{host}:{port}"
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def server(address: str) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(address, connection_timeout=10, network_timeout=10) as opened:
        yield opened


def inputs(tensors: dict[str, Any], datatype: str = "INT32", *, binary: bool = True) -> list[triton.InferInput]:
    made = []
    for name, ids in tensors.items():
        given = triton.InferInput(name, list(ids.shape), datatype)
        given.set_data_from_numpy(ids.astype({"INT32": np.int32, "INT64": np.int64}[datatype]), binary_data=binary)
        made.append(given)
    return made


def outputs(*names: str, binary: bool) -> list[triton.InferRequestedOutput]:
    return [triton.InferRequestedOutput(name, binary_data=binary) for name in names]


def test_the_server_and_its_models_are_live_and_ready(server: triton.InferenceServerClient) -> None:
    assert server.is_server_live()
    assert server.is_server_ready()
    for name, version in (("student", ""), ("teacher", ""), ("tiny-student", "v1"), ("student", "v1")):
        assert server.is_model_ready(name, version)
    assert not server.is_model_ready("nobody")
    assert not server.is_model_ready("student", "v2")


def test_metadata_is_read(server: triton.InferenceServerClient) -> None:
    assert server.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    metadata = server.get_model_metadata("student")
    assert metadata["versions"] == ["v1"]
    assert [(tensor["name"], tensor["shape"]) for tensor in metadata["inputs"]] == [
        ("context_ids", [1, 2]),
        ("candidate_ids", [-1, 3]),
    ]
    assert [tensor["datatype"] for tensor in metadata["outputs"]] == ["FP32", "FP32"]


@pytest.mark.parametrize("datatype", ["INT32", "INT64"])
@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_infer_gives_what_predict_gives(
    server: triton.InferenceServerClient,
    address: str,
    example: Any,
    *,
    datatype: str,
    binary_in: bool,
    binary_out: bool | None,
) -> None:
    """JSON and binary in both directions; None asks for no output by name, which Triton's client makes binary."""
    wanted = None if binary_out is None else outputs("probabilities", "logits", binary=binary_out)
    given = inputs(example.tensors, datatype, binary=binary_in)
    result = server.infer("student", given, outputs=wanted, request_id="triton-1")
    raw = httpx.post(f"http://{address}/student/predict", json=example.raw, trust_env=False).json()
    assert result.as_numpy("probabilities").tolist() == np.array(raw["probabilities"], np.float32).tolist()
    assert result.get_response()["id"] == "triton-1"
    assert result.get_response()["model_name"] == "tiny-student"
    assert result.as_numpy("logits").dtype == np.float32


def test_infer_gives_the_golden_logits(server: triton.InferenceServerClient, bundle: Bundle) -> None:
    for request in bundle.golden:
        tensors = {"context_ids": request.context_ids, "candidate_ids": request.candidate_ids}
        for datatype in ("INT32", "INT64"):
            result = server.infer("tiny-student", inputs(tensors, datatype), model_version="v1")
            np.testing.assert_allclose(result.as_numpy("logits"), request.logits, atol=1e-5, rtol=0)


def test_errors_reach_the_client_in_words(server: triton.InferenceServerClient, example: Any) -> None:
    candidate_ids = example.candidate_ids.copy()
    candidate_ids[2, 1] = 99
    for name, tensors, status, part in (
        ("student", {**example.tensors, "candidate_ids": candidate_ids}, "400", "candidate_ids[2], field 'category'"),
        ("student", {"candidate_ids": example.candidate_ids}, "400", "lacks context_ids"),
        ("nobody", example.tensors, "404", "'nobody'"),
        ("student", {**example.tensors, "candidate_ids": np.full((6000, 3), 2)}, "413", "5000"),
    ):
        with pytest.raises(InferenceServerException, match=f"^\\[{status}\\]") as caught:
            server.infer(name, inputs(tensors))
        assert part in caught.value.message()
    compressed = {"request_compression_algorithm": "gzip"}
    with pytest.raises(InferenceServerException, match="Content-Encoding"):
        server.infer("student", inputs(example.tensors), **compressed)
    assert server.infer("student", inputs(example.tensors)).as_numpy("logits").shape == (4,)
