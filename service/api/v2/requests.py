"""From the body of an infer request to ids and the outputs asked for.

    {"id": "…"?, "inputs": [context_ids, candidate_ids], "outputs": [{"name", "parameters": {"binary_data": bool}?}]?,
     "parameters": {"binary_data_output": bool}?}     then, where an input says so, its bytes in the inputs' order

The header Inference-Header-Content-Length says where the JSON ends; without it the body is JSON to its end. A null
is the same as an absent key. Parameters that only hint (priority, timeout, content_type, …) are passed over;
`model_name` and `model_version` may stand in the body, the path decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.api.problems import Problem, ProblemError, shown
from service.api.requests import REQUEST_ID, EncodedRequest, decode
from service.api.v2.tensors import CANDIDATE_IDS, CONTEXT_IDS, InputReader
from service.bundle import Encoder, Ids

OUTPUTS = ("logits", "probabilities")
"""Every output there is: FP32 [N]."""
MAX_ID_LENGTH = 256
"""Most characters of an id."""

_REQUEST_KEYS = frozenset({"id", "parameters", "inputs", "outputs", "model_name", "model_version"})
_INPUT_KEYS = frozenset({"name", "shape", "datatype", "parameters", "data"})
_OUTPUT_KEYS = frozenset({"name", "parameters"})
_REFUSED_OUTPUT_PARAMETERS = ("classification", "shared_memory_region")
_MAX_LENGTH_DIGITS = 19


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """One output asked for."""

    name: str
    binary: bool
    """Whether its numbers follow the JSON of the answer as raw little-endian bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InferRequest:
    """One request, ready to score."""

    encoded: EncodedRequest
    id: str | None
    """Returned as it was sent."""
    outputs: tuple[Output, ...]
    """In the order to answer in."""


def header_length(stated: str | None, body: bytes) -> int:
    """Bytes of the body that are JSON, as Inference-Header-Content-Length states them; raises ProblemError."""
    if stated is None:
        return len(body)
    expected = f"a number of bytes from 0 to {len(body)}, the length of the body"
    plain = stated.isascii() and stated.isdigit() and len(stated) <= _MAX_LENGTH_DIGITS
    if not plain or int(stated) > len(body):
        raise _malformed(f"Inference-Header-Content-Length is {shown(stated)}", expected)
    return int(stated)


def read_header(body: bytes, length: int) -> dict[str, Any]:
    """The JSON object in the first `length` bytes; raises ProblemError."""
    return decode(body if length == len(body) else body[:length])


class InferReader:
    """Reads the infer requests of one model.

    Args:
        encoder: the bundle's encoder, for the size of every field's table.
        max_candidates: most candidates of one request.
    """

    def __init__(self, encoder: Encoder, max_candidates: int) -> None:
        context = [field.name for field in encoder.schema.context]
        candidate = [field.name for field in encoder.schema.candidate]
        sizes = encoder.sizes
        readers = (
            InputReader(CONTEXT_IDS, context, sizes[: len(context)], None),
            InputReader(CANDIDATE_IDS, candidate, sizes[len(context) :], max_candidates),
        )
        self.inputs = {reader.name: reader for reader in readers}
        """Input name → its reader."""

    def read(self, header: Mapping[str, Any], body: bytes, start: int) -> InferRequest:
        """A request whose JSON is decoded and whose binary tensors start at byte `start`; raises ProblemError."""
        _check_keys(header, _REQUEST_KEYS, "the request")
        outputs = _outputs(header)
        request_id = _id(header)
        ids = self._ids(header, body, start)
        encoded = EncodedRequest(
            context_ids=ids[CONTEXT_IDS],
            candidate_ids=ids[CANDIDATE_IDS],
            unit=None,
            request_id=request_id if request_id is not None and REQUEST_ID.fullmatch(request_id) else None,
        )
        return InferRequest(encoded=encoded, id=request_id, outputs=outputs)

    def _ids(self, header: Mapping[str, Any], body: bytes, start: int) -> dict[str, Ids]:
        """Input name → ids, of exactly the inputs there are, whose bytes fill the rest of the body."""
        ids: dict[str, Ids] = {}
        for position, tensor in enumerate(_objects(header, "inputs")):
            _check_keys(tensor, _INPUT_KEYS, f"inputs[{position}]")
            reader = self._reader(tensor, position)
            if reader.name in ids:
                raise _malformed(f"inputs[{position}] is a second {reader.name}", "each input once")
            size = _binary_data_size(tensor, reader.name)
            if size is None:
                ids[reader.name] = reader.from_json(tensor)
            else:
                ids[reader.name] = reader.from_bytes(tensor, body, start, size)
                start += size
        if start != len(body):
            raise _malformed(f"the body has {len(body) - start} bytes after its last tensor", "none")
        for reader in self.inputs.values():
            if reader.name not in ids:
                ids[reader.name] = reader.absent()
        return ids

    def _reader(self, tensor: Mapping[str, Any], position: int) -> InputReader:
        name = tensor.get("name")
        reader = self.inputs.get(name) if type(name) is str else None
        if reader is None:
            raise _malformed(f"inputs[{position}] is named {shown(name)}", " or ".join(self.inputs))
        return reader


def _binary_data_size(tensor: Mapping[str, Any], name: str) -> int | None:
    """Bytes of a binary tensor, None for one in JSON; raises ProblemError unless it is exactly one of the two."""
    size = _parameters(tensor, name).get("binary_data_size")
    if size is None:
        return None
    if type(size) is not int or size < 0:
        raise _malformed(f"{name} has binary_data_size {shown(size)}", "a number of bytes")
    if tensor.get("data") is not None:
        raise _malformed(f"{name} has both data and binary_data_size", "one of them")
    return size


def _outputs(header: Mapping[str, Any]) -> tuple[Output, ...]:
    """The outputs asked for; all when none is named."""
    binary = _flag(_parameters(header, "the request"), "binary_data_output", "the request", default=False)
    wanted: dict[str, Output] = {}
    for position, output in enumerate(_objects(header, "outputs")):
        where = f"outputs[{position}]"
        _check_keys(output, _OUTPUT_KEYS, where)
        name = output.get("name")
        if type(name) is not str or name not in OUTPUTS or name in wanted:
            raise _malformed(f"{where} is named {shown(name)}", f"{' or '.join(OUTPUTS)}, each once")
        parameters = _parameters(output, where)
        for refused in _REFUSED_OUTPUT_PARAMETERS:
            if parameters.get(refused) is not None:
                raise _malformed(f"{where} asks for {refused}", "only binary_data: nothing else is supported")
        wanted[name] = Output(name=name, binary=_flag(parameters, "binary_data", where, default=binary))
    return tuple(wanted.values()) or tuple(Output(name=name, binary=binary) for name in OUTPUTS)


def _id(header: Mapping[str, Any]) -> str | None:
    value = header.get("id")
    if value is None or (type(value) is str and len(value) <= MAX_ID_LENGTH):
        return value
    raise _malformed(f"id is {shown(value)}", f"a string of at most {MAX_ID_LENGTH} characters")


def _objects(header: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The objects listed under `key`, none when it is absent."""
    value = header.get(key)
    if value is None:
        return []
    if type(value) is not list or not all(type(entry) is dict for entry in value):
        raise _malformed(f"{key} is {shown(value)}", "an array of objects")
    return value


def _parameters(described: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    value = described.get("parameters")
    if value is None:
        return {}
    if type(value) is not dict:
        raise _malformed(f"{where} has parameters {shown(value)}", "an object")
    return value


def _flag(parameters: Mapping[str, Any], key: str, where: str, *, default: bool) -> bool:
    value = parameters.get(key)
    if value is None:
        return default
    if type(value) is not bool:
        raise _malformed(f"{where} has {key} {shown(value)}", "true or false")
    return value


def _check_keys(got: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    if not got.keys() <= known:
        unknown = next(key for key in got if key not in known)
        raise _malformed(f"{where} has an unknown key {shown(unknown)}", f"some of {', '.join(sorted(known))}")


def _malformed(got: str, expected: str) -> ProblemError:
    return ProblemError(Problem.MALFORMED_REQUEST, f"{got}, expected {expected}")
