"""Wire types, for the documentation: /openapi.json is made from them, requests are read by `service.api.requests`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from service.experiment.document import Document

Value = str | int | float | None


class Wire(BaseModel):
    """What every wire type shares: no unknown key, descriptions from the docstrings."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, protected_namespaces=())


class PredictRequest(Wire):
    """One context and N candidates, in exactly one of four forms: columns, rows, ids, or items of the catalogue."""

    unit: str | None = Field(default=None, min_length=1, max_length=256)
    """Id that an experiment hashes, e.g. a user id; a request without one is never part of an experiment."""
    request_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._:-]{1,128}$")
    """The caller's id of this request; without one the header X-Request-Id counts, else one is made."""
    context: dict[str, Value] = Field(default_factory=dict)
    """Field → value for exactly the model's context fields; null is a missing value."""
    context_ids: dict[str, int] | None = None
    """Instead of `context`, for callers that have the ids of the model's vocabularies: field → id."""
    candidates: dict[str, list[Value]] | list[dict[str, Value]] | None = None
    """Columns {field: [value, ...]} of one length, or rows [{field: value}, ...]: exactly the model's candidate
    fields. Columns are read faster."""
    candidate_ids: dict[str, list[int]] | None = None
    """Instead of `candidates`, for callers that have the ids of the model's vocabularies: field → ids of one length."""
    items: list[str | int] | None = None
    """Item ids, looked up in the model's catalogue."""


class PredictResponse(Wire):
    """Click probabilities in the order of the candidates."""

    request_id: str
    """The request's id, also in the header X-Request-Id."""
    arm: str
    """The arm the unit was given, or that was asked: student, teacher or another of the experiments."""
    model: str
    """The model that answered, `name@version`."""
    probabilities: list[float]
    """One probability in [0, 1] per candidate, in the order sent."""
    fallback: bool
    """Whether the default model answered in place of the arm's own."""
    token: str | None = None
    """What feedback on this answer must bring back, where the service signs its answers; else absent."""


class FeedbackItem(Wire):
    """Something a unit did with one candidate of an answer: exactly one of `item` and `position` names it."""

    request_id: str = Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")
    """The request's id, as it was answered."""
    item: str | int | None = None
    """The candidate's item id, as it was sent."""
    position: int | None = Field(default=None, ge=0)
    """The candidate's index in the request, from 0."""
    type: Literal["impression", "click"]
    """What happened; a click implies an impression."""
    ts: int | str | None = None
    """When, by the client's clock: milliseconds since 1970, or ISO 8601 with a time zone. Only recorded."""
    value: float | None = None
    """What it was worth, if that is known."""
    token: str | None = None
    """The answer's token, where the service gives one."""


class FeedbackBatch(Wire):
    """Several events, stored together."""

    events: list[FeedbackItem]
    """At most 1,000."""


class FeedbackRequest(RootModel[FeedbackBatch | FeedbackItem]):
    """Several events, or one as it is."""


class FeedbackResponse(Wire):
    """What became of the events; all but the refused ones are durable."""

    accepted: int
    """Stored, on a known exposure and in time."""
    duplicates: int
    """Stored before: the same request, candidate and type."""
    late: int
    """Stored, but the exposure is older than the attribution window: in no analysis."""
    unknown: int
    """Stored; counts once the exposure of its request turns up."""
    refused: int
    """Not stored: the token does not belong to the request."""
    results: list[Literal["accepted", "duplicate", "late", "unknown", "refused"]]
    """What became of each event, in the order sent."""
    duplicate: bool | None = None
    """Whether the one event that was sent as it is was stored before; absent after several."""


class ProblemDetails(BaseModel):
    """An error as RFC 9457 problem+json; members that do not apply are absent."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str
    """What kind of error, a URN that never changes its meaning."""
    title: str
    """The kind in words."""
    status: int
    """The HTTP status."""
    detail: str
    """Where, what was got, what is expected, what to do."""
    field: str | None = None
    """The field or key concerned."""
    position: int | None = None
    """Index of the candidate, item or event concerned, from 0."""
    got: str | None = None
    """What was sent, shortened."""
    expected: str | None = None
    """What would have been right."""


class FieldInfo(Wire):
    """One input field of a model."""

    name: str
    """Name, as requests use it."""
    role: Literal["context", "candidate"]
    """Whether all candidates of a request share it."""
    kind: Literal["categorical", "numeric"]
    """Categorical fields take strings and integers, numeric fields take numbers."""
    vocabulary: int
    """Number of ids, padding and unknown included."""


class ModelInfo(Wire):
    """One model being served."""

    name: str
    """Name of the model."""
    version: str
    """Version of the bundle."""
    model: str
    """`name@version`."""
    architecture: str
    """Kind of model."""
    sha256: str
    """Digest of model.onnx."""
    fields: list[FieldInfo]
    """Input fields, in order."""
    parameters: int
    """Number of weights."""
    flops: dict[str, float]
    """Multiplications per candidate: `effective`, and `executed` by the scorer at N = `candidates`, what it runs `once`
    per request included."""
    metrics: dict[str, float]
    """Offline metrics."""
    catalogue_items: int | None
    """Items that may be sent by id; null without a catalogue."""
    graph: dict[str, Any]
    """The exported form that was kept, its opset, and what every form took in microseconds."""
    calibration: dict[str, float]
    """probability = sigmoid(slope * logit + intercept)."""
    scorer: str
    """What turns ids into logits: `native` or `onnxruntime`."""
    scorer_reason: str
    """Why this one answers."""
    logit_gap: float
    """Largest gap to the trained model's logits over the golden requests."""
    lineage: dict[str, Any]
    """How to make this model again."""


class ModelsResponse(Wire):
    """The models being served, by arm."""

    arms: dict[str, ModelInfo]
    """Arm → model; an arm that does not answer is absent."""


class RevisionInfo(Wire):
    """One change of the experiments."""

    revision: int
    """Its number, from 1."""
    ts_ms: int
    """When, milliseconds since 1970."""
    action: Literal["start", "put", "kill"]
    """How."""
    reason: str
    """Why, as whoever changed it said."""


class ExperimentResponse(Wire):
    """The experiments in force."""

    revision: int
    """Number of the document in force, 0 when there never was one."""
    document: Document
    """The document."""
    models: list[str]
    """What an arm may be answered by."""
    revisions: list[RevisionInfo]
    """Every change, the oldest first."""


class RevisionResponse(Wire):
    """The experiments were changed."""

    revision: int
    """Number of the document that is now in force."""


class RollbackRequest(Wire):
    """Which version to serve."""

    version: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    """A version of the arm's bundle; null for the one that was current before."""


class SwapResponse(Wire):
    """What answers as an arm now."""

    arm: str
    """The arm that was asked for."""
    before: str | None
    """The model that answered before, `name@version`; null if none did."""
    model: str
    """The model that answers now."""
    changed: bool
    """Whether they differ."""


class KillRequest(Wire):
    """What to switch off."""

    experiment: str | None = None
    """One experiment; null for every one."""
    reason: str = Field(default="", max_length=500)
    """Why, kept with the revision."""


class HealthResponse(Wire):
    """The process is alive."""

    status: Literal["alive"]
    """Always `alive`."""


class ReadyResponse(Wire):
    """Requests are answered."""

    status: Literal["ready"]
    """Always `ready`; anything else is a 503."""
    degraded: bool
    """Whether an arm that should answer does not."""
    arms: dict[str, str]
    """Arm → model that answers."""
    reasons: dict[str, str]
    """Arm → why it does not answer."""
