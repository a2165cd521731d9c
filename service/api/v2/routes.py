"""Routes of Open Inference Protocol v2. Arms and models are found by comparing names, never by joining them to paths.

A model is addressed by its arm, `student` or `teacher`, or by its bundle's name; a version by its bundle's version.
"""

from __future__ import annotations

from functools import partial
from time import perf_counter

import orjson
from fastapi import APIRouter, Request, Response
from starlette.types import Scope

from service.api.hot import JSON, Answer, HotPath, answered, header
from service.api.problems import Problem, ProblemError, shown
from service.api.respond import respond
from service.api.v2 import documents
from service.api.v2.answers import EXTENSIONS, HEADER_LENGTH, OCTETS, infer_answer, model_metadata
from service.api.v2.requests import header_length, read_header
from service.api.v2.schemas import ModelMetadata, ModelReady, ServerLive, ServerMetadata, ServerReady
from service.middleware import call_of
from service.state import ARMS, STUDENT, Arm, State

MODEL = "/v2/models/{model}"
VERSION = f"{MODEL}/versions/{{version}}"
INFER_PATHS = (f"{MODEL}/infer", f"{VERSION}/infer")

_HEADER_LENGTH = HEADER_LENGTH.encode()
_MEDIA = frozenset({JSON.encode(), OCTETS.encode()})


def find_arm(state: State, name: str, version: str | None) -> Arm:
    """The arm that a model's name and version address; the student where both bundles have the name.

    Raises:
        ProblemError: 404 for an unknown name or version, 503 while the arm named does not answer.
    """
    if name in ARMS:
        named = [state.arm(name)]
    else:
        named = [arm for arm in state.arms.values() if arm.model.bundle.manifest.name == name]
        if not named and STUDENT not in state.arms:  # its bundle may have that very name
            raise state.not_ready()
        if not named:
            known = [*state.arms, *(arm.model.bundle.manifest.name for arm in state.arms.values())]
            raise _unknown(f"there is no model {shown(name)}", known)
    for arm in named:
        if version in (None, arm.model.bundle.manifest.version):
            return arm
    raise _unknown(
        f"model {shown(name)} has no version {shown(version)}", [arm.model.bundle.manifest.version for arm in named]
    )


async def infer(state: State, name: str, version: str | None, scope: Scope, body: bytes) -> Answer:
    """Answer one infer request; raises ProblemError."""
    received = perf_counter()
    call = call_of(scope)
    arm = find_arm(state, name, version)
    call.arm = arm.name
    _check_media(scope)
    stated = [value.decode("latin-1") for key, value in scope["headers"] if key == _HEADER_LENGTH]
    start = header_length(", ".join(stated) if stated else None, body)
    described = read_header(body, start)
    decoded_at = perf_counter()
    read = arm.model.infer_reader.read(described, body, start)
    encoded_at = perf_counter()
    call.request_id = read.encoded.request_id or call.request_id
    return await respond(
        arm,
        read.encoded,
        decode_s=decoded_at - received,
        encode_s=encoded_at - decoded_at,
        render=partial(infer_answer, arm, read),
    )


def hot_infer_paths(state: State) -> dict[str, HotPath]:
    """Path → its endpoint, for every name and version that a model answers to now."""
    model, version = INFER_PATHS
    named: dict[str, set[str]] = {name: set() for name in ARMS}
    for arm in state.arms.values():
        manifest = arm.model.bundle.manifest
        for name in (arm.name, manifest.name):
            named.setdefault(name, set()).add(manifest.version)
    paths = {model.format(model=name): HotPath(model, partial(infer, state, name, None)) for name in named}
    for name, versions in named.items():
        for found in versions:
            paths[version.format(model=name, version=found)] = HotPath(version, partial(infer, state, name, found))
    return paths


def add_v2_routes(router: APIRouter, state: State) -> None:
    """Add every route of the protocol to `router`."""
    _add_server_routes(router, state)
    _add_model_routes(router, state)

    async def infer_with_model(request: Request) -> Response:
        path = request.path_params
        return await answered(partial(infer, state, path["model"], path.get("version")), request)

    for path in INFER_PATHS:
        router.add_api_route(
            path,
            infer_with_model,
            methods=["POST"],
            operation_id=_operation_id(path),
            summary="Logits and probabilities of candidates given as ids, in JSON or binary tensors",
            openapi_extra=documents.infer_extra(path),
            responses=documents.infer_responses(),
        )


def _add_server_routes(router: APIRouter, state: State) -> None:
    @router.get("/v2", summary="What the server is", responses={200: {"model": ServerMetadata}})
    async def server_metadata(request: Request) -> Response:
        return _json({"name": request.app.title, "version": request.app.version, "extensions": EXTENSIONS})

    @router.get("/v2/health/live", summary="Whether the process is alive", responses={200: {"model": ServerLive}})
    async def live() -> Response:
        return _json({"live": True})

    @router.get(
        "/v2/health/ready",
        summary="Whether requests are answered",
        responses={200: {"model": ServerReady}, **documents.error_responses(503)},
    )
    async def ready() -> Response:
        if STUDENT not in state.arms:
            raise state.not_ready()
        return _json({"live": True, "ready": True})


def _add_model_routes(router: APIRouter, state: State) -> None:
    async def metadata(request: Request) -> Response:
        return _json(model_metadata(_arm_of(state, request)))

    async def ready(request: Request) -> Response:
        return _json({"name": _arm_of(state, request).model.bundle.manifest.name, "ready": True})

    errors = documents.error_responses(404, 503)
    for prefix in (MODEL, VERSION):
        for path, endpoint, model, summary in (
            (prefix, metadata, ModelMetadata, "What a model takes and gives"),
            (f"{prefix}/ready", ready, ModelReady, "Whether a model answers"),
        ):
            router.add_api_route(
                path,
                endpoint,
                methods=["GET"],
                operation_id=_operation_id(path),
                summary=summary,
                openapi_extra=documents.parameters(path),
                responses={200: {"model": model}, **errors},
            )


def _arm_of(state: State, request: Request) -> Arm:
    return find_arm(state, request.path_params["model"], request.path_params.get("version"))


def _check_media(scope: Scope) -> None:
    """Raise 415 for a body declared as anything but JSON or octets, or compressed; clients may declare nothing."""
    declared = header(scope, b"content-type")
    if declared is not None and declared not in _MEDIA and declared.partition(b";")[0].strip().lower() not in _MEDIA:
        detail = f"got Content-Type {shown(declared.decode('latin-1'))}, expected {JSON} or {OCTETS}"
        raise ProblemError(Problem.UNSUPPORTED_MEDIA_TYPE, detail)
    encoding = header(scope, b"content-encoding")
    if encoding is not None and encoding.strip().lower() != b"identity":
        detail = f"got Content-Encoding {shown(encoding.decode('latin-1'))}, expected none; send the body as it is"
        raise ProblemError(Problem.UNSUPPORTED_MEDIA_TYPE, detail)


def _unknown(what: str, known: list[str]) -> ProblemError:
    return ProblemError(Problem.UNKNOWN_MODEL, f"{what}, expected {' or '.join(dict.fromkeys(known))}")


def _operation_id(path: str) -> str:
    return path.strip("/").replace("{", "").replace("}", "").replace("/", "_")


def _json(content: object) -> Response:
    return Response(orjson.dumps(content), media_type=JSON)
