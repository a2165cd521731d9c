"""Answers of the protocol: an infer answer in JSON or binary, and what a server and a model say about themselves."""

from __future__ import annotations

from typing import Any

import orjson

from service.api.answers import Probabilities
from service.api.hot import Answer
from service.api.v2.requests import OUTPUTS, InferRequest
from service.scoring import Logits
from service.state import Arm

OCTETS = "application/octet-stream"
HEADER_LENGTH = "inference-header-content-length"
EXTENSIONS = ["binary_tensor_data"]

_PLATFORMS = {"onnxruntime": "onnxruntime_onnx", "native": "native_npz"}
"""Scorer → the protocol's platform: what runs the model, and the format it reads."""


def infer_answer(arm: Arm, request: InferRequest, logits_N: Logits, probabilities_N: Probabilities) -> Answer:
    """The outputs asked for; binary ones follow the JSON in the order asked."""
    values = dict(zip(OUTPUTS, (logits_N, probabilities_N), strict=True))
    manifest = arm.model.bundle.manifest
    answer: dict[str, Any] = {"model_name": manifest.name, "model_version": manifest.version}
    if request.id is not None:
        answer["id"] = request.id
    answer["outputs"] = outputs = []
    binary = []
    for output in request.outputs:
        values_N = values[output.name]
        described: dict[str, Any] = {"name": output.name, "datatype": "FP32", "shape": list(values_N.shape)}
        if output.binary:
            binary.append(values_N.astype("<f4", copy=False).tobytes())
            described["parameters"] = {"binary_data_size": values_N.nbytes}
        else:
            described["data"] = values_N
        outputs.append(described)
    content = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    if not binary:
        return Answer(content)
    headers = ((b"content-type", OCTETS.encode()), (HEADER_LENGTH.encode(), b"%d" % len(content)))
    return Answer(b"".join((content, *binary)), headers)


def model_metadata(arm: Arm) -> dict[str, Any]:
    """Name, versions, platform, inputs and outputs of one model; both id datatypes are taken, the smaller is named."""
    manifest, scorer = arm.model.bundle.manifest, arm.model.scorer.name
    inputs = [
        {"name": reader.name, "datatype": "INT32", "shape": reader.shape}
        for reader in arm.model.infer_reader.inputs.values()
    ]
    outputs = [{"name": name, "datatype": "FP32", "shape": [-1]} for name in OUTPUTS]
    return {
        "name": manifest.name,
        "versions": [manifest.version],
        "platform": _PLATFORMS.get(scorer, scorer),
        "inputs": inputs,
        "outputs": outputs,
    }
