"""What ends a start at once, with one line: mistakes in the settings that no waiting mends.

The rest is for /readyz. A student's bundle that cannot be read leaves the service alive and not ready, with the reason:
whoever fills the volume may still be at it, and a process that answers is easier to ask than one that is gone. A
teacher, a further arm or an event store that is missing leaves it ready and degraded: predictions need none of them.
"""

from __future__ import annotations

from service.events.store import StoreError
from service.events.urls import check_url
from service.experiment.document import DocumentError
from service.experiment.start import first_document
from service.settings import Settings, SettingsError


def check_start(settings: Settings) -> None:
    """Raise SettingsError for the first mistake; the message is one line."""
    _check_student(settings)
    _check_traces(settings)
    _check_events(settings)


def _check_student(settings: Settings) -> None:
    if not settings.student_bundle.is_dir():
        raise SettingsError(
            f"student bundle: {settings.student_bundle} is no directory, expected a bundle's; "
            "run `make train` or give --student-bundle"
        )


def _check_traces(settings: Settings) -> None:
    if not settings.traces:
        return
    try:
        import service.traces  # noqa: F401, PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"CTR_TRACES: got {settings.traces!r}, but {error.name} is not installed; pip install '.[otel]', or leave "
            "it out for no traces"
        ) from None


def _check_events(settings: Settings) -> None:
    """The URL and the first document; whether the store can be reached is not known before it is tried."""
    if not settings.events:
        return
    try:
        check_url(settings.events)
        first_document(settings)
    except StoreError as error:
        raise SettingsError(str(error)) from None
    except DocumentError as error:
        raise SettingsError(f"{error}; correct the file, or leave CTR_EXPERIMENT out for none") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"CTR_EXPERIMENT: {settings.experiment} cannot be read ({error}), expected a TOML file of experiments; "
            "correct the path, or leave it out for none"
        ) from None
