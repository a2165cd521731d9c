"""What the doctor says of stores of either kind; here, because their server is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from service.doctor.finding import Finding, Status, Subject
from service.doctor.store import store
from service.events.migrations import LATEST
from service.settings import Settings

if TYPE_CHECKING:
    from tests.service.events.conftest import OpenStore

CHECK = "schema of the store"


def found(url: str) -> dict[str, Finding]:
    return {finding.check: finding for finding in store(Subject(settings=Settings(events=url)))}


def test_a_store_in_use_is_well_and_of_this_release(url: str, reopen: OpenStore) -> None:
    reopen()
    findings = found(url)
    assert {finding.status for finding in findings.values()} == {Status.OK}, findings
    assert findings[CHECK].found == f"version {LATEST}"
    assert ("clock of the event store" in findings) == url.startswith("postgresql")


def test_an_empty_database_will_be_migrated_and_a_user_who_may_not_is_a_problem(postgres: Any) -> None:
    url = postgres.new_url()
    assert found(url)[CHECK].found == f"version 0, will be brought to {LATEST} at the next start"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE reader LOGIN")
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    finding = found(url.replace("//postgres:", "//reader:"))[CHECK]
    assert finding.status is Status.PROBLEM
    assert finding.found == "this user may not make tables"


def test_a_newer_releases_database_is_a_problem(url: str, reopen: OpenStore) -> None:
    opened = reopen()
    with opened.writing() as session:
        session.run("INSERT INTO schema_version VALUES (?, 0)", (LATEST + 1,))
    assert found(url)[CHECK].status is Status.PROBLEM
