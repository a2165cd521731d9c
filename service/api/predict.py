"""The endpoints of /predict, /student/predict and /teacher/predict: one body, one arm, one answer.

Bodies and answers go through as bytes, because a typed body and a typed answer would cost more than the student does.
"""

from __future__ import annotations

from time import perf_counter

from starlette.types import Scope

from service.api.answers import Probabilities, answer
from service.api.assigned import AssignedPredict
from service.api.hot import Answer, Endpoint
from service.api.media import check_json
from service.api.problems import Problem, ProblemError
from service.api.requests import decode
from service.api.respond import respond
from service.middleware import call_of
from service.remote import Remote, RemoteError
from service.scoring import Logits
from service.shadow.message import AnsweredBy
from service.shadow.shadow import Shadow
from service.state import STUDENT, Arm, State

_REMOTE_PROBLEMS = {"busy": Problem.TEACHER_BUSY, "timeout": Problem.TEACHER_TIMEOUT}


def arm_endpoint(state: State, name: str) -> Endpoint:
    """Answers with one arm, whatever experiments say; never part of one."""

    async def predict_with_arm(scope: Scope, body: bytes) -> Answer:
        call_of(scope).arm = name
        remote = state.remotes.get(name)
        if remote is not None:
            return await _pass_on(remote, state, scope, body)
        return await _predict(state.arm(name), scope, body)

    return predict_with_arm


def assigned_endpoint(state: State) -> Endpoint:
    """Answers with the arm that the experiments in force give the unit; without any, with the default model."""
    running = state.running
    if running is None:
        return arm_endpoint(state, STUDENT)
    assigned = AssignedPredict(state, running)

    async def predict_with_assigned_arm(scope: Scope, body: bytes) -> Answer:
        document = running.live.current.document
        call = call_of(scope)
        call.arm = document.default
        if not document.experiments:
            return await _predict(state.arm(document.default), scope, body, state.shadow)
        received = perf_counter()
        check_json(scope)
        return await assigned(scope, call, body, decode(body), received)

    return predict_with_assigned_arm


async def _predict(arm: Arm, scope: Scope, body: bytes, shadow: Shadow | None = None) -> Answer:
    """Answer one request with one arm, and offer it to the shadow if one is given; raises ProblemError."""
    received = perf_counter()
    call = call_of(scope)
    check_json(scope)
    decoded = decode(body)
    decoded_at = perf_counter()
    encoded = arm.model.reader.encode(decoded)
    encoded_at = perf_counter()
    call.request_id = encoded.request_id or call.request_id

    def render(_logits_N: Logits, probabilities_N: Probabilities) -> Answer:
        answer = _answer(arm.name, arm.model.name, call.request_id, probabilities_N)
        if shadow is not None:
            by = AnsweredBy(arm.name, arm.model.name, arm.model.ids_digest)
            shadow.offer(body, probabilities_N, by, latency_s=perf_counter() - received, request_id=call.request_id)
        return answer

    timed = {"decode_s": decoded_at - received, "encode_s": encoded_at - decoded_at}
    return await respond(arm, encoded, **timed, render=render)


async def _pass_on(remote: Remote, state: State, scope: Scope, body: bytes) -> Answer:
    """Answer with what another service says; the student's reader finds the number of candidates, and bad requests."""
    call = call_of(scope)
    check_json(scope)
    encoded = state.arm(STUDENT).model.reader.read(body)
    call.request_id = encoded.request_id or call.request_id
    try:
        found = await remote.ask(body, len(encoded.candidate_ids), call.request_id)
    except RemoteError as error:
        problem = _REMOTE_PROBLEMS.get(error.reason, Problem.REMOTE_FAILED)
        raise ProblemError(problem, f"{error}; ask again later, or the student") from None
    return _answer(remote.name, found.model, call.request_id, found.probabilities)


def _answer(arm: str, model: str, request_id: str, probabilities_N: Probabilities) -> Answer:
    return Answer(answer(request_id=request_id, arm=arm, model=model, probabilities_N=probabilities_N, fallback=False))
