"""What /openapi.json says about the protocol: path parameters, bodies, answers, and the loaded bundle's own example."""

from __future__ import annotations

from typing import Any

from service.api.hot import JSON
from service.api.v2.answers import OCTETS
from service.api.v2.requests import OUTPUTS
from service.api.v2.schemas import InferenceError, InferenceRequest, InferenceResponse
from service.api.v2.tensors import CANDIDATE_IDS, CONTEXT_IDS
from service.bundle import Bundle, Ids

_MEANINGS = {
    400: "The body, a tensor or an id is not what is expected; nothing was scored.",
    404: "No such model or version.",
    413: "Too many candidates or too many bytes.",
    415: "The body is declared as something other than JSON or octets, or is compressed.",
    500: "The model gave a logit that is not finite, or the service failed.",
    503: "Not ready, no teacher, or a teacher with too many requests waiting.",
    504: "The teacher did not answer before its deadline.",
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_LENGTH = {
    "name": "Inference-Header-Content-Length",
    "in": "header",
    "required": False,
    "description": "Bytes of JSON at the start of the body; what follows are binary tensors. Absent: all is JSON.",
    "schema": {"type": "integer", "minimum": 0},
}
_PATH_PARAMETERS = {
    "model": ("student", "An arm, `student` or `teacher`, or the name of a bundle."),
    "version": (None, "The version of the bundle."),
}


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses of these statuses."""
    return {status: {"model": InferenceError, "description": _MEANINGS[status]} for status in statuses}


def parameters(path: str) -> dict[str, Any]:
    """The `openapi_extra` of a route: the parameters in its template."""
    described = []
    for name, (example, meaning) in _PATH_PARAMETERS.items():
        if f"{{{name}}}" in path:
            parameter = {"name": name, "in": "path", "required": True, "description": meaning}
            shown = {} if example is None else {"example": example}
            described.append({**parameter, "schema": {"type": "string"}, **shown})
    return {"parameters": described} if described else {}


def infer_extra(path: str) -> dict[str, Any]:
    """The `openapi_extra` of an infer route: its parameters and its body in both forms."""
    schema = {"$ref": f"#/components/schemas/{InferenceRequest.__name__}"}
    content = {JSON: {"schema": schema}, OCTETS: _BINARY}
    return {
        "parameters": [*parameters(path)["parameters"], _LENGTH],
        "requestBody": {"required": True, "content": content},
    }


def infer_responses() -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses of an infer route."""
    answered = {
        "model": InferenceResponse,
        "description": "The outputs asked for; as octets, JSON and then the binary ones, if any was asked in binary.",
        "content": {OCTETS: _BINARY},
    }
    return {200: answered, **error_responses(400, 404, 413, 415, 500, 503, 504)}


def infer_examples(bundle: Bundle) -> dict[str, dict[str, Any]]:
    """The bundle's raw example as ids, in nested and in flat tensors."""
    encoder, example = bundle.encoder, bundle.example
    tensors = {
        CONTEXT_IDS: encoder.encode_context(example["context"]),
        CANDIDATE_IDS: encoder.encode(encoder.schema.candidate, example["candidates"]),
    }
    nested = [_tensor(name, ids_NF, ids_NF.tolist()) for name, ids_NF in tensors.items()]
    flat = [_tensor(name, ids_NF, ids_NF.ravel().tolist()) for name, ids_NF in tensors.items()]
    return {
        "nested tensors": {"id": "request-42", "inputs": nested},
        "flat tensors": {"inputs": flat, "outputs": [{"name": OUTPUTS[1]}]},
    }


def _tensor(name: str, ids_NF: Ids, data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": "INT32", "shape": list(ids_NF.shape), "data": data}
