"""Wire types of the protocol, for the documentation; requests are read by `service.api.v2.requests`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.api.schemas import Wire

Ids = list[int] | list[list[int]]


class InputParameters(Wire):
    """How an input is sent."""

    binary_data_size: int | None = None
    """Bytes of the tensor, sent after the JSON instead of `data`: raw, little-endian, row by row."""


class OutputParameters(Wire):
    """How an output is to be answered."""

    binary_data: bool | None = None
    """Whether it is answered as raw little-endian bytes after the JSON."""


class RequestParameters(Wire):
    """Parameters of a request; others are passed over."""

    binary_data_output: bool = False
    """Whether every output is answered in binary unless it says otherwise itself."""


class RequestInput(Wire):
    """One input tensor of ids."""

    name: Literal["context_ids", "candidate_ids"]
    """`context_ids` or `candidate_ids`."""
    shape: list[int]
    """[1, context fields] or [candidates, candidate fields]."""
    datatype: Literal["INT32", "INT64"]
    """Datatype of the ids."""
    parameters: InputParameters | None = None
    """Present for a binary tensor."""
    data: Ids | None = None
    """The ids, nested or flat, row by row; absent for a binary tensor."""


class RequestOutput(Wire):
    """One output asked for."""

    name: Literal["logits", "probabilities"]
    """`logits` or `probabilities`."""
    parameters: OutputParameters | None = None
    """How it is to be answered."""


class InferenceRequest(Wire):
    """One context and N candidates as ids, the form the graph itself takes."""

    id: str | None = Field(default=None, max_length=256)
    """Returned as it is."""
    parameters: RequestParameters | None = None
    """Parameters of the whole request."""
    inputs: list[RequestInput]
    """Both inputs, in any order."""
    outputs: list[RequestOutput] | None = None
    """Outputs to answer, in order; all when absent."""


class BinarySize(Wire):
    """Where a binary output lies."""

    binary_data_size: int
    """Bytes of the tensor after the JSON, in the order of the outputs."""


class ResponseOutput(Wire):
    """One output tensor."""

    name: Literal["logits", "probabilities"]
    """`logits` or `probabilities`, the calibrated sigmoid of the logits."""
    datatype: Literal["FP32"]
    """Always `FP32`."""
    shape: list[int]
    """[N], in the order of the candidates."""
    data: list[float] | None = None
    """The numbers; absent for a binary tensor."""
    parameters: BinarySize | None = None
    """Present for a binary tensor."""


class InferenceResponse(Wire):
    """What the model answers."""

    model_name: str
    """Name of the bundle that answered, whichever name it was addressed by."""
    model_version: str
    """Version of the bundle."""
    id: str | None = None
    """The request's id, if it had one."""
    outputs: list[ResponseOutput]
    """The outputs asked for, in order."""


class TensorMetadata(Wire):
    """One tensor of a model."""

    name: str
    """Its name."""
    datatype: str
    """Its datatype; ids may also be sent as INT64."""
    shape: list[int]
    """Its shape; -1 is any number."""


class ModelMetadata(Wire):
    """What a model takes and gives."""

    name: str
    """Name of the bundle."""
    versions: list[str]
    """The version being served."""
    platform: str
    """What runs the model, and its format."""
    inputs: list[TensorMetadata]
    """Inputs."""
    outputs: list[TensorMetadata]
    """Outputs."""


class ServerMetadata(Wire):
    """What the server is."""

    name: str
    """Name of the service."""
    version: str
    """Version of the service."""
    extensions: list[str]
    """Extensions of the protocol that it speaks."""


class ServerLive(Wire):
    """The process is alive."""

    live: Literal[True]
    """Always true."""


class ServerReady(Wire):
    """Requests are answered; anything else is a 503."""

    live: Literal[True]
    """Always true: the published protocol names this key."""
    ready: Literal[True]
    """Always true: most servers name this key."""


class ModelReady(Wire):
    """The model answers; anything else is a 503 or a 404."""

    name: str
    """Name of the bundle."""
    ready: Literal[True]
    """Always true."""


class InferenceError(Wire):
    """An error, as the protocol writes it."""

    error: str
    """Where, what was got, what is expected, what to do."""
