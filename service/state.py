"""State of one running app: its arms, why an arm is missing, and the instruments kept beside each."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client import Counter

from service.api.answers import Probabilities
from service.api.contexts import ContextCache
from service.api.problems import Problem, ProblemError
from service.api.requests import EncodedRequest
from service.bundle import UNKNOWN_ID, Flops, Ids
from service.experiment.running import Running
from service.experiment.tokens import TokenSigner
from service.lanes import Lane, StudentLane, TeacherLane
from service.loops import count
from service.metrics import Metrics, ProbabilityHistogram, StageTimers
from service.models import LoadedModel, LoadError, load_model
from service.remote import Remote, is_url
from service.scoring import OnnxScorer, ScorerFactory
from service.settings import Settings
from service.shadow.shadow import Shadow
from service.telling import Telling

STUDENT = "student"
TEACHER = "teacher"
ARMS = (STUDENT, TEACHER)
"""The arms that need no setting of their own; CTR_ARMS names further ones."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One arm that answers: its model, the lane it is scored in, and its instruments."""

    name: str
    model: LoadedModel
    lane: Lane
    stages: StageTimers
    candidates: Counter
    flops: Counter
    not_finite: Counter
    unknown: tuple[Counter, ...]
    """One counter per field, context first."""
    probabilities: ProbabilityHistogram

    def count(self, request: EncodedRequest, probabilities_N: Probabilities) -> None:
        """Count an answered request: candidates, multiplications, probabilities and unknown values."""
        rows = len(request.candidate_ids)
        self.candidates.inc(rows)
        self.flops.inc(self.model.flops.of_request(rows))
        self.probabilities.observe(self.model.name, probabilities_N)
        context_fields = request.context_ids.shape[1]
        _count_unknown(request.context_ids, self.unknown[:context_fields])
        _count_unknown(request.candidate_ids, self.unknown[context_fields:])


def _count_unknown(ids_NF: Ids, counters: tuple[Counter, ...]) -> None:
    counts_F = np.empty(len(counters), np.int64)
    if count(ids_NF, UNKNOWN_ID, counts_F):  # usually none is
        for counter, found in zip(counters, counts_F.tolist(), strict=True):
            if found:
                counter.inc(found)


@dataclass(kw_only=True, slots=True)
class State:
    """What the routes of one app share."""

    settings: Settings
    metrics: Metrics
    scorer_factories: Mapping[str, ScorerFactory]
    """Arm → what turns its model.onnx into a scorer; onnxruntime for an arm that is not named."""
    shadow: Shadow
    """Has answers scored by another model too."""
    telling: Telling = field(default_factory=Telling)
    """What stands around lanes and other services."""
    arms: dict[str, Arm] = field(default_factory=dict)
    """The arms that answer."""
    remotes: dict[str, Remote] = field(default_factory=dict)
    """Arms that other services answer for."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why an arm that should answer does not, and why there are no experiments."""
    running: Running | None = None
    """What experiments need; None where there are none."""

    @property
    def signer(self) -> TokenSigner | None:
        """What signs and checks the tokens of feedback; None without a key."""
        key = self.settings.token_key
        return None if key is None else TokenSigner(key.get_secret_value().encode())

    @property
    def queued_events(self) -> int:
        """Records that wait to be written to the event store."""
        return 0 if self.running is None else self.running.log.queued

    def load(self) -> None:
        """Load the bundles that the settings name; a bad one is logged, counted and kept as the reason."""
        self.reasons[STUDENT] = "its bundle is still being read"
        for name, path in self.bundles.items():
            if name != TEACHER or TEACHER in self.settings.arms or self._is_teacher_wanted(path):
                self._load_arm(name, path)
        for name, where in self.settings.arms.items():
            if is_url(where):
                self.remotes[name] = self._remote(name, where)

    @property
    def bundles(self) -> dict[str, Path]:
        """Where the bundle of every arm is that is to answer here; no other service answers for it."""
        paths = {STUDENT: self.settings.student_bundle}
        if self.settings.teacher_bundle is not None:
            paths[TEACHER] = self.settings.teacher_bundle
        local = {name: Path(where) for name, where in self.settings.arms.items() if not is_url(where)}
        return {
            name: path for name, path in {**paths, **local}.items() if name in local or name not in self.settings.arms
        }

    def _is_teacher_wanted(self, path: Path) -> bool:
        """Whether there is a teacher to load; one that the settings name and that is not there is a reason."""
        if path.exists():
            return True
        if "teacher_bundle" in self.settings.model_fields_set:
            self.reasons[TEACHER] = f"{path} does not exist, though the settings name it"
            logger.error("no teacher: %s; correct CTR_TEACHER_BUNDLE or leave it out", self.reasons[TEACHER])
        return False

    def _remote(self, name: str, url: str) -> Remote:
        settings = self.settings
        return self.telling.remote(
            name,
            url,
            timeout_ms=settings.teacher_timeout_ms,
            max_waiting=settings.teacher_max_waiting,
            instruments=self.metrics.queues.of_arm(name),
        )

    @property
    def answering(self) -> list[str]:
        """Names of the arms that answer, those of other services included."""
        return [*self.arms, *self.remotes]

    def close(self) -> None:
        """Stop every lane."""
        for arm in self.arms.values():
            arm.lane.close()

    def arm(self, name: str) -> Arm:
        """The arm of this name; raises ProblemError (503) saying why there is none and what to do."""
        arm = self.arms.get(name)
        if arm is not None:
            return arm
        if name == STUDENT:
            raise self.not_ready()
        reason = self.reasons.get(name, f"there is no bundle at {self.settings.teacher_bundle}")
        setting = "CTR_TEACHER_BUNDLE" if name == TEACHER else "CTR_ARMS"
        detail = f"{reason}; give one with {setting} and start again, or ask the student"
        raise ProblemError(Problem.NO_TEACHER, detail)

    def not_ready(self) -> ProblemError:
        """The error while no student answers."""
        reason = self.reasons.get(STUDENT, "the service is stopping")
        detail = f"no student answers: {reason}; give a good bundle with CTR_STUDENT_BUNDLE"
        return ProblemError(Problem.NOT_READY, detail)

    def _load_arm(self, name: str, path: Path) -> None:
        try:
            model = self.read(name, path)
        except LoadError as error:
            self.reasons[name] = str(error)
            return
        self.install(name, model)

    def read(self, name: str, path: Path) -> LoadedModel:
        """The model at `path`, proved and warmed up to be the arm `name`; from any thread.

        Raises:
            LoadError: it was refused, logged and counted.
        """
        loads = self.metrics.model_loads
        try:
            model = load_model(
                path,
                scorer_factory=self.scorer_factories.get(name, OnnxScorer),
                max_candidates=self.settings.max_candidates,
                wanted=self.settings.scorer,
                contexts=self._contexts(name),
            )
        except LoadError as error:
            logger.error("%s refused: %s", name, error)  # noqa: TRY400 - the message is the reason; a trace adds none
            loads.labels(result="refused", reason=error.reason).inc()
            raise
        loads.labels(result="ok", reason="none").inc()
        self.metrics.native_scorer.labels(result=model.choice.result).inc()
        logger.info("%s %s: %s answers: %s", name, model.name, model.scorer.name, model.choice.reason)
        return model

    def install(self, name: str, model: LoadedModel) -> None:
        """Have `model` answer as the arm `name` from the next request on; from the event loop's thread.

        Requests under way keep the arm that they began with: it ends with the last of them, and its threads with it.
        """
        before = self.arms.get(name)
        self.arms[name] = self._arm_of(name, model)
        self.reasons.pop(name, None)
        if before is not None:
            self._forget(before.model)

    def _forget(self, model: LoadedModel) -> None:
        """Say in the metrics that a model is served no more, unless another arm has it."""
        if any(arm.model.name == model.name for arm in self.arms.values()):
            return
        manifest = model.bundle.manifest
        sha = manifest.files["model.onnx"]
        self.metrics.model_info.labels(model=model.name, version=manifest.version, sha=sha).set(0)
        self.metrics.scorer_info.labels(model=model.name, scorer=model.scorer.name).set(0)

    def _contexts(self, name: str) -> ContextCache | None:
        size = self.settings.context_cache
        hits, misses = (self.metrics.context_cache.labels(arm=name, result=result) for result in ("hit", "miss"))
        return ContextCache(size, hits, misses) if size else None

    def _arm_of(self, name: str, model: LoadedModel) -> Arm:
        """The arm with every instrument it will ever touch."""
        metrics, manifest = self.metrics, model.bundle.manifest
        metrics.model_info.labels(model=model.name, version=manifest.version, sha=manifest.files["model.onnx"]).set(1)
        metrics.scorer_info.labels(model=model.name, scorer=model.scorer.name).set(1)
        for kind, flops in (("executed", model.flops.executed), ("effective", model.flops.effective)):
            metrics.flops_per_candidate.labels(model=model.name, kind=kind).set(flops)
        metrics.probabilities.add_model(model.name)
        if name == STUDENT:
            metrics.ready.set(1)
        return Arm(
            name=name,
            model=model,
            lane=self.telling.lane(name, self._lane(name, model.flops)),
            stages=metrics.stage_timers(name),
            candidates=metrics.candidates.labels(model=model.name),
            flops=metrics.flops.labels(model=model.name),
            not_finite=metrics.not_finite.labels(model=model.name),
            unknown=metrics.unknown_counters([described.name for described in model.bundle.schema.fields]),
            probabilities=metrics.probabilities,
        )

    def _lane(self, name: str, flops: Flops) -> Lane:
        settings, instruments = self.settings, self.metrics.queues.of_arm(name)
        light = flops.of_request(flops.candidates) <= settings.inline_multiplications
        if name == STUDENT or (name != TEACHER and light):
            return StudentLane(
                flops=flops,
                inline_multiplications=settings.inline_multiplications,
                threads=settings.student_threads,
                instruments=instruments,
            )
        return TeacherLane(
            timeout_ms=settings.teacher_timeout_ms,
            max_waiting=settings.teacher_max_waiting,
            instruments=instruments,
        )


def described(arm: Arm) -> dict[str, Any]:
    """What /models says about one arm."""
    bundle, manifest = arm.model.bundle, arm.model.bundle.manifest
    fields = [
        {"name": known.name, "role": known.role.value, "kind": known.kind, "vocabulary": size}
        for known, size in zip(bundle.schema.fields, bundle.encoder.sizes, strict=True)
    ]
    stated = manifest.to_json()
    return {
        **{key: stated[key] for key in ("name", "version", "architecture", "parameters", "metrics")},
        "flops": asdict(arm.model.flops),
        "model": manifest.model,
        "sha256": manifest.files["model.onnx"],
        "fields": fields,
        "catalogue_items": None if bundle.catalogue is None else len(bundle.catalogue),
        "graph": stated["graph"],
        "calibration": stated["calibration"],
        "scorer": arm.model.scorer.name,
        "scorer_reason": arm.model.choice.reason,
        "logit_gap": arm.model.logit_gap,
        "lineage": stated["lineage"],
    }
