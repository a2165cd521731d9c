"""The bundles of this process, loaded and proved by the very code that serves them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import perf_counter

from service.doctor.finding import Finding, Subject, ok, problem, warning
from service.models import LoadedModel, LoadError, load_model
from service.remote import is_url
from service.scoring import OnnxScorer
from service.state import STUDENT, TEACHER

SLOW_S = 10.0
"""Seconds of loading after which a worker that is replaced is missed."""


def bundles(subject: Subject) -> Iterator[Finding]:
    """Student, teacher and further arms."""
    settings = subject.settings
    yield from _loaded(subject, STUDENT, settings.student_bundle, "CTR_STUDENT_BUNDLE")
    teacher = settings.teacher_bundle
    if TEACHER not in settings.arms:
        if teacher is not None and (teacher.exists() or "teacher_bundle" in settings.model_fields_set):
            yield from _loaded(subject, TEACHER, teacher, "CTR_TEACHER_BUNDLE")
        else:
            yield ok("teacher", "none: the settings name none, and there is none at the usual place")
    for name, where in settings.arms.items():
        if not is_url(where):
            yield from _loaded(subject, name, Path(where), "CTR_ARMS")


def _loaded(subject: Subject, arm: str, path: Path, setting: str) -> Iterator[Finding]:
    settings = subject.settings
    load = partial(load_model, path, scorer_factory=OnnxScorer, max_candidates=settings.max_candidates)
    began = perf_counter()
    try:
        model = load(wanted=settings.scorer)
    except LoadError as error:
        yield problem(f"bundle of {arm}", f"refused at step {error.reason}: {error}", "a good bundle", f"see {setting}")
        return
    seconds = perf_counter() - began
    found = f"{model.name} read and proved in {seconds:.2f} s, logits within {model.logit_gap:.2g} of the trained model"
    if seconds > SLOW_S:
        todo = "a nearer disk, or a smaller table (export --embedding int8)"
        yield warning(f"bundle of {arm}", found, f"within {SLOW_S:g} s", todo)
    else:
        yield ok(f"bundle of {arm}", found)
    yield _scorer(arm, model)


def _scorer(arm: str, model: LoadedModel) -> Finding:
    check, found = f"scorer of {arm}", f"{model.scorer.name}: {model.choice.reason}"
    if model.choice.result in {"not_built", "refused"}:
        todo = "install a C compiler and pip install . again" if model.choice.result == "not_built" else "export again"
        return warning(check, found, "the native scorer", todo)
    return ok(check, found)
