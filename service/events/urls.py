"""From the URL in the settings to the store it names."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from service.events.sql import SqlStore
from service.events.sqlite import SqliteStore
from service.events.store import StoreError

EXPECTED = "sqlite:PATH or postgresql://USER:PASSWORD@HOST:PORT/DATABASE"


def open_store(url: str, attribution_ms: int) -> SqlStore:
    """The event store at `url`, its tables made or migrated.

    Args:
        url: `sqlite:relative/path`, `sqlite:/absolute/path` or `postgresql://...`.
        attribution_ms: milliseconds after an exposure in which its feedback counts.

    Raises:
        StoreError: no such kind of URL, or the store cannot be opened; the message has no password.
    """
    check_url(url)
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite":
        return SqliteStore(Path(rest), attribution_ms)
    from service.events.postgres import PostgresStore  # noqa: PLC0415 - its driver is an extra

    return PostgresStore(url, attribution_ms)


def check_url(url: str) -> None:
    """Raise StoreError where no store is meant by `url`, or its driver is not installed; nothing is opened."""
    scheme, _, rest = url.partition(":")
    if not rest or scheme not in {"sqlite", "postgresql", "postgres"}:
        raise StoreError(f"event store: got {without_password(url)!r}, expected {EXPECTED}; correct CTR_EVENTS")
    if scheme != "sqlite" and find_spec("psycopg") is None:
        raise StoreError(
            f"event store: got {without_password(url)!r}, but psycopg is not installed; pip install '.[postgres]', or "
            "give sqlite:PATH with CTR_EVENTS"
        )


def without_password(url: str) -> str:
    """The URL as a message may show it."""
    return re.sub(r"([?&]password=)[^&]*", r"\1***", re.sub(r"^([^:/?]+://[^:/?]*):.*@", r"\1:***@", url))
