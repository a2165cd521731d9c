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

    def load(self) -> None:
        """Load the bundles that the settings name; a bad one is logged, counted and kept as the reason."""
        self.reasons[STUDENT] = "its bundle is still being read"
        self._load_arm(STUDENT, self.settings.student_bundle)
        if TEACHER not in self.settings.arms:
            self._load_teacher()
        for name, where in self.settings.arms.items():
            if is_url(where):
                self.remotes[name] = self._remote(name, where)
            else:
                self._load_arm(name, Path(where))

    def _load_teacher(self) -> None:
        teacher = self.settings.teacher_bundle
        if teacher is not None and teacher.exists():
            self._load_arm(TEACHER, teacher)
        elif teacher is not None and "teacher_bundle" in self.settings.model_fields_set:
            self.reasons[TEACHER] = f"{teacher} does not exist, though the settings name it"

    def _remote(self, name: str, url: str) -> Remote:
        settings = self.settings
        return Remote(name, url, timeout_ms=settings.teacher_timeout_ms, max_waiting=settings.teacher_max_waiting)

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
        detail = f"no student answers: {reason}; give a good bundle with CTR_STUDENT_BUNDLE and start again"
        return ProblemError(Problem.NOT_READY, detail)

    def _load_arm(self, name: str, path: Path) -> None:
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
            self.reasons[name] = str(error)
            return
        loads.labels(result="ok", reason="none").inc()
        self.metrics.native_scorer.labels(result=model.choice.result).inc()
        logger.info("%s %s: %s answers: %s", name, model.name, model.scorer.name, model.choice.reason)
        self.reasons.pop(name, None)
        self.arms[name] = self._arm_of(name, model)

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
        return Arm(
            name=name,
            model=model,
            lane=self._lane(name, model.flops),
            stages=metrics.stage_timers(name),
            candidates=metrics.candidates.labels(model=model.name),
            flops=metrics.flops.labels(model=model.name),
            not_finite=metrics.not_finite.labels(model=model.name),
            unknown=metrics.unknown_counters([described.name for described in model.bundle.schema.fields]),
            probabilities=metrics.probabilities,
        )

    def _lane(self, name: str, flops: Flops) -> Lane:
        settings = self.settings
        light = flops.of_request(flops.candidates) <= settings.inline_multiplications
        if name == STUDENT or (name != TEACHER and light):
            return StudentLane(
                flops=flops,
                inline_multiplications=settings.inline_multiplications,
                threads=settings.student_threads,
            )
        return TeacherLane(timeout_ms=settings.teacher_timeout_ms, max_waiting=settings.teacher_max_waiting)


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
