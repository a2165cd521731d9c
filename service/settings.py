"""Settings of the service: read once from the environment (`CTR_*`), frozen, complete and loud."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.cpus import effective_cpus, whole_cpus

PREFIX = "CTR_"
ELSEWHERE = frozenset({"CTR_DATA", "CTR_RUNS", "CTR_BUNDLES"})
"""Variables of training and export: a shell that has them may start the service too."""


ArmName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
"""As in a document of experiments."""


class SettingsError(ValueError):
    """A setting is unknown or has a value it cannot take; the message is one line."""


def _traces_url(value: str) -> str:
    """The endpoint; a bare host gets the path that OTLP gives to traces."""
    if not value:
        return value
    try:
        url = urlsplit(value)
        fine = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:  # a port that is no number
        fine = False
    if not fine:
        raise PydanticCustomError("url", "an OTLP/HTTP endpoint such as http://collector:4318")
    return value if url.path.strip("/") else f"{value.rstrip('/')}/v1/traces"


def _json_object(value: Any) -> Any:
    """What an environment variable says in JSON; left as it is, and refused as such, where it is no JSON."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise PydanticCustomError("json", 'JSON, name → directory or URL, such as {"v2": "bundles/v2"}') from None


def _auto(value: Any) -> Any:
    return whole_cpus(effective_cpus()) if value == "auto" else value


class Settings(BaseSettings):
    """Everything that may differ between two deployments of the same code.

    Each field is read from the environment variable `CTR_` + its name in upper case.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=()
    )

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for every interface."""
    port: int = Field(default=8000, ge=0, le=65535)
    """TCP port to listen on; 0 lets the system choose a free one."""
    workers: Annotated[int, BeforeValidator(_auto)] = Field(default=1, ge=1)
    """Processes that share the port; auto takes one per effective CPU (affinity and control groups' quotas)."""
    student_bundle: Path = Path("bundles/student")
    """Directory of the student's bundle; without a good one the service lives but is not ready."""
    teacher_bundle: Path | None = Path("bundles/teacher")
    """Directory of the teacher's bundle; if it does not exist there is no teacher, and that is no fault."""
    max_candidates: int = Field(default=5000, ge=1)
    """Most candidates one request may send."""
    max_body_bytes: int = Field(default=8 * 1024 * 1024, ge=1)
    """Most bytes a request body may have, whether announced or streamed."""
    context_cache: int = Field(default=0, ge=0)
    """Encoded contexts that each arm remembers, for ranking layers that split the candidates of one context over
    several requests; 0 remembers none. It pays where contexts have numeric fields or no C extension was built."""
    inline_multiplications: int = Field(default=20_000_000, ge=0)
    """Largest student batch scored on the event loop itself, in multiplications that its scorer executes (`flops` of
    /models): about 1-4 ms on one core. A larger batch pays 30-50 µs for a thread hop instead."""
    student_threads: int = Field(default=1, ge=1)
    """Threads of each worker for student batches over `inline_multiplications`; auto divides the effective CPUs
    between the workers."""
    teacher_timeout_ms: float = Field(default=1000.0, gt=0, allow_inf_nan=False)
    """Milliseconds a teacher request may wait and run before it is answered with 504."""
    teacher_max_waiting: int = Field(default=8, ge=1)
    """Most teacher requests admitted at once, the running one included; a further one is answered with 503."""
    scorer: Literal["auto", "native", "onnxruntime"] = "auto"
    """What scores a bundle that has weights: auto takes the native scorer where it is built and agrees with
    onnxruntime, native refuses the bundle otherwise, onnxruntime never tries it. Other bundles run as graphs."""
    events: str = "sqlite:events.sqlite3"
    """Where exposures, feedback and the experiments' documents are kept: `sqlite:PATH` or `postgresql://...`; empty
    for nowhere, then there is no experiment and no feedback."""
    experiment: Path | None = None
    """TOML file of the experiments to begin with, put in force where the event store has none yet."""
    arms: Annotated[dict[ArmName, str], NoDecode, BeforeValidator(_json_object)] = Field(default_factory=dict)
    """Further arms as JSON, name → bundle directory or URL of another service's predict path, e.g.
    `{"v2": "bundles/v2", "teacher": "http://teacher:8000/student/predict"}`; `student` is never one of them."""
    admin_token: SecretStr | None = Field(default=None, min_length=1)
    """Bearer token that changes experiments and forces arms; without one neither can be done."""
    admin_port: int | None = Field(default=None, ge=1, le=65535)
    """A second port, the only one on which the admin token is worth anything: who may reach it is then a matter of the
    network. It answers everything the first does."""
    token_key: SecretStr | None = Field(default=None, min_length=1)
    """Key that signs a token into every answer of an experiment; feedback must then bring it back."""
    attribution_hours: float = Field(default=24.0, gt=0, allow_inf_nan=False)
    """Hours after an exposure in which its clicks count; later ones are stored and flagged."""
    retention_days: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Days after which events are deleted, once an hour; without it they are kept. An experiment that runs longer
    than this loses its first units, and its report their clicks."""
    raw_units: bool = False
    """Whether units are stored as they are besides their keyed hash."""
    log_probabilities: bool = True
    """Whether answers of an experiment are stored with all their probabilities and item ids: 4 bytes a candidate and
    the ids. Without them a report has no calibration, log loss or AUC."""
    log_level: Literal["critical", "error", "warning", "info", "debug"] = "warning"
    """Least severe level that is logged, to standard error."""
    log_format: Literal["text", "json"] = "text"
    """How it is logged: text for people, json for machines, one object per line."""
    slow_ms: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Milliseconds from which an answered request is logged with its stages; without it only answers of 5xx are."""
    traces: Annotated[str, AfterValidator(_traces_url)] = ""
    """OTLP/HTTP endpoint that traces are sent to, e.g. `http://collector:4318`; empty for no traces. Needs the extra
    `otel`."""
    traces_ratio: float = Field(default=0.01, ge=0, le=1)
    """Share of the requests that are traced where the caller has not decided it (traceparent)."""

    @property
    def attribution_ms(self) -> int:
        """`attribution_hours` in milliseconds."""
        return round(self.attribution_hours * 3_600_000)

    @field_validator("admin_port")
    @classmethod
    def _another_port(cls, admin_port: int | None, info: ValidationInfo) -> int | None:
        if admin_port is not None and admin_port == info.data.get("port"):
            raise ValueError("another port than CTR_PORT")
        return admin_port

    @field_validator("arms")
    @classmethod
    def _student_is_another_setting(cls, arms: dict[str, str]) -> dict[str, str]:
        if "student" in arms:
            raise ValueError("names other than student, whose bundle is CTR_STUDENT_BUNDLE")
        return arms

    @field_validator("student_threads", mode="before")
    @classmethod
    def _share_of_a_worker(cls, value: Any, info: ValidationInfo) -> Any:
        return whole_cpus(effective_cpus() / info.data.get("workers", 1)) if value == "auto" else value


def read_settings(**overrides: Any) -> Settings:
    """Settings from the environment; an override that is not None wins over its variable.

    Raises:
        SettingsError: naming the variable, what was got and what was expected, on one line.
    """
    _refuse_unknown(os.environ)
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError("; ".join(_one_line(detail, given) for detail in error.errors())) from None


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    for variable in sorted(environment):
        if variable.startswith(PREFIX) and variable not in known and variable not in ELSEWHERE:
            nearest = difflib.get_close_matches(variable, known, n=1, cutoff=0.0)[0]
            raise SettingsError(f"{variable}: no such setting, did you mean {nearest}? Known: {', '.join(known)}")


def _one_line(detail: Any, given: Mapping[str, Any]) -> str:
    name = ".".join(map(str, detail["loc"]))
    where = f"--{name.replace('_', '-')}" if name in given else PREFIX + name.upper()
    expected = detail["msg"].removeprefix("Input should be ").removeprefix("Value error, ").split("\n")[0]
    return f"{where}: got {detail['input']!r:.80}, expected {expected}; correct it or leave it out for the default"
