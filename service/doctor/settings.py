"""The variables that are set, and the experiments to begin with."""

from __future__ import annotations

from collections.abc import Iterator

from service.doctor.finding import Finding, Subject, ok, problem
from service.events.urls import without_password
from service.experiment.document import DocumentError, check_models
from service.experiment.start import first_document
from service.remote import is_url
from service.settings import ELSEWHERE, PREFIX
from service.state import STUDENT, TEACHER

_SECRET = frozenset({"CTR_ADMIN_TOKEN", "CTR_TOKEN_KEY"})


def variables(subject: Subject) -> Iterator[Finding]:
    """Every CTR_* variable of the environment; unknown and wrong ones have been refused before."""
    given = {name: value for name, value in sorted(subject.environment.items()) if name.startswith(PREFIX)}
    if not given:
        yield ok("variables", "no CTR_* variable is set: defaults")
    for name, value in given.items():
        if name in _SECRET:
            yield ok(name, "set, not shown")
        elif name in ELSEWHERE:
            yield ok(name, f"{value} (of training and export, not read here)")
        else:
            yield ok(name, without_password(value) or "empty")


def experiment(subject: Subject) -> Iterator[Finding]:
    """The document in CTR_EXPERIMENT."""
    settings = subject.settings
    if settings.experiment is None:
        yield ok("first experiments", "none named: what the event store has is in force")
        return
    try:
        document = first_document(settings)
        if document is not None:
            local = [name for name, where in settings.arms.items() if not is_url(where)]
            bundles = [STUDENT, *([TEACHER] if settings.teacher_bundle and settings.teacher_bundle.exists() else ())]
            check_models(document, [*bundles, *settings.arms], [*bundles, *local])
    except (DocumentError, OSError, UnicodeDecodeError) as error:
        found = " ".join(str(error).split())
        yield problem("first experiments", found, "a TOML file of experiments", "correct the file or CTR_EXPERIMENT")
        return
    names = [] if document is None else [experiment.name for experiment in document.experiments]
    yield ok("first experiments", f"{settings.experiment}: {', '.join(names) or 'no experiment'}")
