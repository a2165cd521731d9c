"""GET /experiment/report: made by a child, once for all who ask, and kept for a while."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service.api.problems import Problem, ProblemError
from service.api.report import KEPT_S, MOST_WAITING, Asked, Reports
from service.events import open_store
from service.experiment.cli import UNKNOWN
from service.settings import Settings
from tests.service.events.builders import ATTRIBUTION_MS
from tests.service.experiment.report.stores import World, document, fill

ROOT = Path(__file__).parents[3]
PATH = "/experiment/report"
JSON = Asked("rank", 1, "json")


@pytest.fixture
def client(open_client: Any, tmp_path: Path) -> Any:
    """A service over a store with one phase."""
    url = f"sqlite:{tmp_path}/events.sqlite3"
    store = open_store(url, ATTRIBUTION_MS)
    fill(store, document(), World(units=120))
    store.close()
    return open_client(events=url)


def child(tmp_path: Path, code: str) -> Reports:
    """Reports whose child notes its arguments in a file, and then runs some code."""
    noted = f"import sys; open({str(tmp_path / 'calls')!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n"
    return Reports(Settings(events="sqlite:x"), (sys.executable, "-c", noted + code))


def calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "calls").read_text().splitlines()


def test_the_report_comes_as_json_or_as_a_page(client: Any) -> None:
    answer = client.get(PATH)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    report = answer.json()
    assert report["provenance"]["units"] == 120
    assert report["arms"][0]["flops_effective"] == 70e6
    page = client.get(PATH, headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert page.text.startswith("<!doctype html>")
    assert client.get(f"{PATH}?format=html").text == page.text
    assert client.get(f"{PATH}?format=json", headers={"accept": "text/html"}).json() == report


@pytest.mark.parametrize(
    ("query", "status", "slug", "words"),
    [
        ("experiment=nothing", 404, "unknown-experiment", "expected one of: rank phase 1"),
        ("phase=9", 404, "unknown-experiment", "rank phase 9"),
        ("experiment=--out=/tmp/x", 404, "unknown-experiment", "--out"),
        ("experiment=%00", 404, "unknown-experiment", "which no experiment is called"),
        ("phase=one", 422, "malformed-request", "'one'"),
        ("phase=-1", 422, "malformed-request", "'-1'"),
        ("format=pdf", 422, "malformed-request", "json or html"),
    ],
)
def test_what_cannot_be_reported_on_is_a_problem(client: Any, query: str, status: int, slug: str, words: str) -> None:
    answer = client.get(f"{PATH}?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["type"].endswith(f":{slug}")
    assert words in answer.json()["detail"]


def test_without_a_store_there_is_no_report(open_client: Any) -> None:
    answer = open_client(events="").get(PATH)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:problem-type:ctr:no-experiments")


def test_many_who_ask_at_once_wait_for_one_child_and_later_ones_for_none(tmp_path: Path) -> None:
    reports = child(tmp_path, "import time; time.sleep(0.2); print('made')")

    async def ask() -> list[bytes]:
        together = await asyncio.gather(*(reports.get(JSON) for _ in range(10)))
        return [*together, await reports.get(JSON)]

    assert asyncio.run(ask()) == [b"made\n"] * 11
    assert calls(tmp_path) == ["--json --experiment=rank --phase=1"]


def test_another_form_is_another_report_and_waits_for_the_first(tmp_path: Path) -> None:
    """Children that overlap would see each other's file."""
    alone = f"import os, time; p = {str(tmp_path / 'alone')!r}; os.mkdir(p); time.sleep(0.2); os.rmdir(p); print('ok')"
    reports = child(tmp_path, alone)

    async def ask() -> None:
        await asyncio.gather(reports.get(JSON), reports.get(Asked(None, None, "html")))

    asyncio.run(ask())
    assert sorted(calls(tmp_path)) == ["--html", "--json --experiment=rank --phase=1"]


def test_a_report_is_made_anew_once_it_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports, now = child(tmp_path, "print('made')"), [1000.0]
    monkeypatch.setattr("service.api.report.monotonic", lambda: now[0])

    async def ask() -> None:
        await reports.get(JSON)
        now[0] += KEPT_S - 1
        await reports.get(JSON)
        assert len(calls(tmp_path)) == 1
        now[0] += 2
        await reports.get(JSON)

    asyncio.run(ask())
    assert len(calls(tmp_path)) == 2


def test_somebody_who_hangs_up_stops_nobody_elses_report(tmp_path: Path) -> None:
    reports = child(tmp_path, "import time; time.sleep(0.3); print('made')")

    async def ask() -> bytes:
        impatient = asyncio.create_task(reports.get(JSON))
        patient = asyncio.create_task(reports.get(JSON))
        await asyncio.sleep(0.05)
        impatient.cancel()
        return await patient

    assert asyncio.run(ask()) == b"made\n"
    assert len(calls(tmp_path)) == 1


def test_too_many_different_reports_at_once_are_refused(tmp_path: Path) -> None:
    reports = child(tmp_path, "print('made')")

    async def ask() -> list[Any]:
        asked = [reports.get(Asked("rank", phase, "json")) for phase in range(MOST_WAITING + 2)]
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = asyncio.run(ask())
    refused = [answer for answer in answers if isinstance(answer, ProblemError)]
    assert len(refused) == 2
    assert all(one.problem is Problem.NO_REPORT and one.headers["retry-after"] == "10" for one in refused)


@pytest.mark.parametrize(
    ("code", "problem", "words"),
    [
        (f"print('error: no such', file=sys.stderr); sys.exit({UNKNOWN})", Problem.UNKNOWN_EXPERIMENT, "no such"),
        ("print('error: store away', file=sys.stderr); sys.exit(1)", Problem.NO_REPORT, "store away"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", Problem.NO_REPORT, "status -9"),
    ],
)
def test_a_child_that_fails_is_a_problem_with_its_last_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, code: str, problem: Problem, words: str
) -> None:
    reports = child(tmp_path, code)
    with pytest.raises(ProblemError, match=words) as raised:
        asyncio.run(reports.get(JSON))
    assert raised.value.problem is problem
    logged = [record.getMessage() for record in caplog.records if record.name == "service.api.report"]
    assert len(logged) == (problem is Problem.NO_REPORT)  # asking for what there is not is nobody's failure
    assert all(words in message for message in logged)


def test_a_child_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.api.report.LIMIT_S", 0.3)
    with pytest.raises(ProblemError, match="more than 0"):
        asyncio.run(child(tmp_path, "import time; time.sleep(60)").get(JSON))


def test_a_command_that_does_not_exist_is_a_problem() -> None:
    with pytest.raises(ProblemError, match="cannot be started"):
        asyncio.run(Reports(Settings(events="sqlite:x"), ("/nowhere/python",)).get(JSON))


def test_the_password_of_the_store_is_in_no_argument(tmp_path: Path) -> None:
    url = "postgresql://me:secret@db/events"
    code = "import os, sys; print(os.environ['CTR_EVENTS'], sys.argv)"
    made = asyncio.run(Reports(Settings(events=url), (sys.executable, "-c", code)).get(JSON))
    assert made.count(b"secret") == 1
    assert made.startswith(url.encode())


def test_the_serving_process_never_imports_scipy(tmp_path: Path) -> None:
    """Everything that serves is imported, and a report is made; what computes it stays outside."""
    url = f"sqlite:{tmp_path}/events.sqlite3"
    store = open_store(url, ATTRIBUTION_MS)
    fill(store, document(), World(units=40))
    store.close()
    code = f"""
import asyncio, sys
import service.__main__
from service.api.report import Asked, Reports
from service.app import create_app
from service.settings import Settings
settings = Settings(events={url!r})
create_app(settings)
made = asyncio.run(Reports(settings).get(Asked(None, None, "json")))
print(len(made), sorted(name for name in sys.modules if name.split(".")[0] in ("scipy", "matplotlib")))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    size, _, modules = done.stdout.partition(" ")
    assert int(size) > 1000
    assert "scipy" not in modules
