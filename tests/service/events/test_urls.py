from __future__ import annotations

import pytest

from service.events import open_store
from service.events.store import StoreError
from service.events.urls import without_password


@pytest.mark.parametrize(
    "url",
    ["", "events.sqlite3", "sqlite:", "mysql://user:secret@host/events", "http://[::1", "postgres+x://u:secret@h/e"],
)
def test_a_url_of_no_known_kind_is_refused_with_what_is_expected(url: str) -> None:
    with pytest.raises(StoreError, match=r"expected sqlite:PATH or postgresql://.*; correct CTR_EVENTS") as raised:
        open_store(url, 1000)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:secret@host:5432/events", "postgresql://user:***@host:5432/events"),
        ("postgresql://user@host/events", "postgresql://user@host/events"),
        ("postgresql:///events?host=/run&password=secret", "postgresql:///events?host=/run&password=***"),
        ("postgresql://user:se@cr:et@host/events", "postgresql://user:***@host/events"),
        ("sqlite:/var/events.sqlite3", "sqlite:/var/events.sqlite3"),
        ("postgresql://u:secret@[::1/x", "postgresql://u:***@[::1/x"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown
