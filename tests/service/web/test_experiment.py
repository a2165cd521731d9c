"""The experiment on the page: a real one that is stopped for real, and reports of every verdict."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from playwright.sync_api import expect
from pydantic import SecretStr, TypeAdapter

from service.experiment.report.schema import Report
from service.settings import Settings
from tests.service.web.conftest import Served, serving
from tests.service.web.sample_report import sample_report

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page, Route

    from tests.service.web.conftest import OpenPage

TOKEN = "only-for-this-test"  # noqa: S105 - of a service that lives for one test
DOCUMENT = """
[[experiments]]
name = "rank"
arms = [{name = "teacher", weight = 5000}, {name = "student", weight = 5000}]
"""


@pytest.fixture(scope="module")
def running(outer_path: Path, bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service with the experiment `rank`, in which sixty units took part."""
    folder = tmp_path_factory.mktemp("experiment")
    (folder / "experiment.toml").write_text(DOCUMENT)
    settings = Settings(
        student_bundle=outer_path.parent,
        teacher_bundle=bundles / "teacher",
        events=f"sqlite:{folder}/events.sqlite3",
        experiment=folder / "experiment.toml",
        admin_token=SecretStr(TOKEN),
    )
    with serving(settings) as service:
        for unit in range(60):
            service.ask(
                "/predict", {"unit": f"unit-{unit}", "context": {"user": "u1", "hour": 1}, "items": ["i1", "i2"]}
            )
        yield service


def opened(open_page: OpenPage, running: Served, report: dict[str, Any] | None) -> Page:
    """The page of the running experiment; the report is `report`, or cannot be had."""
    page = open_page(running.url, path="/healthz").page

    def answer(route: Route) -> None:
        if report is None:
            detail = "nothing was exposed yet"
            route.fulfill(status=503, content_type="application/problem+json", json={"detail": detail})
        else:
            route.fulfill(json=report)

    page.route("**/experiment/report**", answer)
    page.goto(running.url)
    return page


def test_the_samples_are_reports_as_the_schema_has_them() -> None:
    for verdict in ("ship", "inconclusive", "invalid"):
        sample = json.loads(json.dumps(sample_report(verdict, alarm=verdict == "invalid")))
        report = TypeAdapter(Report).validate_python(sample)
        assert json.loads(TypeAdapter(Report).dump_json(report)) == sample


def test_exposures_are_those_counted_by_arm(open_page: OpenPage, running: Served) -> None:
    page = opened(open_page, running, None)
    expect(page.locator("#exposures tbody tr")).to_have_count(2)
    expect(page.locator("#experiment-facts")).to_contain_text("Phase 1, A/B, 100\u202f% of its units included")
    script = "rows => rows.map(row => [...row.cells].slice(0, 4).map(cell => cell.innerText.trim()))"
    rows = page.locator("#exposures tbody tr").evaluate_all(script)
    assert [row[0] for row in rows] == ["teacher", "student"]
    counts = [int(row[1]) for row in rows]
    assert sum(counts) == 60
    assert min(counts) > 0
    assert [row[3] for row in rows] == ["50\u202f%", "50\u202f%"]


def test_a_report_that_cannot_be_had_is_no_blank(open_page: OpenPage, running: Served) -> None:
    page = opened(open_page, running, None)
    expect(page.locator("#report-status")).to_have_text("No report now: nothing was exposed yet")
    expect(page.locator("#report")).to_be_hidden()


def test_a_report_made_from_real_events_is_shown(open_page: OpenPage, running: Served) -> None:
    """Requests and clicks through the service, a report by its own route: no figure is from elsewhere."""
    clicks = 0
    for unit in range(40):
        context = {"user": "u1", "hour": 1}
        answer = running.ask("/predict", {"unit": f"clicker-{unit}", "context": context, "items": ["i1", "i2", "i3"]})
        kinds = ["impression", "click"] if unit % 3 else ["impression"]
        clicks += len(kinds) - 1
        events = [{"request_id": answer["request_id"], "position": 0, "type": kind} for kind in kinds]
        assert running.ask("/feedback", {"events": events})["accepted"] == len(kinds)
    page = open_page(running.url).page
    expect(page.locator("#table4 tbody tr")).to_have_count(3, timeout=40_000)
    script = "rows => rows.slice(0, 2).map(row => [...row.cells].map(cell => cell.innerText.trim()))"
    arms = page.locator("#table4 tbody tr").evaluate_all(script)
    assert sum(int(row[1]) for row in arms) == 100  # sixty units of the fixture, forty of this test
    assert sum(int(row[2]) for row in arms) == clicks
    expect(page.locator("#verdict-word")).to_have_text("\u2026 Not decided yet")
    expect(page.locator("#srm-light")).to_contain_text("As promised")


@pytest.mark.parametrize(
    ("verdict", "word"),
    [
        ("ship", "\u2713 Ship student"),
        ("keep", "= Keep the control"),
        ("stop_harm", "\u2715 Stop: student does harm"),
        ("inconclusive", "\u2026 Not decided yet"),
        ("invalid", "! No verdict: the data is not sound"),
    ],
)
def test_every_verdict_has_its_word_and_its_reasons(
    open_page: OpenPage, running: Served, verdict: str, word: str
) -> None:
    page = opened(open_page, running, sample_report(verdict))
    expect(page.locator("#verdict-word")).to_have_text(word)
    expect(page.locator(f"#verdict-reasons [data-code=because_{verdict}]")).to_be_visible()
    more = "about 41" if verdict == "inconclusive" else "120,000 units planned"
    expect(page.locator("#verdict-rule")).to_contain_text(more)


def test_the_tables_show_the_reports_numbers(open_page: OpenPage, running: Served) -> None:
    page = opened(open_page, running, sample_report())
    student = page.locator("#table4 tbody tr").nth(1)
    for text in ("student", "60,871", "30,435", "0.10361", "776", "518 executed", "471\u202fµs", "1.36\u202fms"):
        expect(student).to_contain_text(text)
    improvement = page.locator("#table4 tr.improvement")
    for text in ("+0.07\u202f%", "+0.72\u202f%", "[+0.1\u202f%, +1.3\u202f%]", "+97.46\u202f%", "+72.50\u202f%"):
        expect(improvement).to_contain_text(text)
    outcomes = page.locator(".guardrails .outcome-text").all_inner_texts()
    assert outcomes == ["\u2713 holds", "\u2715 broken", "\u2013 not measured"]
    expect(page.locator(".guardrails")).to_contain_text("CTR_LOG_PROBABILITIES is off")


def test_the_effect_is_drawn_with_both_intervals_and_told_in_words(open_page: OpenPage, running: Served) -> None:
    page = opened(open_page, running, sample_report())
    chart = page.locator("#effect-student svg")
    expect(chart).to_have_attribute("aria-label", re.compile(r"28 moments.*\+0\.72.*for one look.*for every look"))
    widths = chart.evaluate("svg => [...svg.querySelectorAll('polygon')].map(p => p.getBBox().height)")
    assert len(widths) == 2
    assert chart.locator(".margin").count() == 1
    expect(page.locator("#comparisons .facts").first).to_contain_text("+0.11\u202f% to +1.33\u202f%")


@pytest.mark.parametrize(("alarm", "text"), [(False, "As promised, p = 1.000"), (True, "Off: not the split")])
def test_the_light_of_the_split_says_in_words_what_its_colour_says(
    open_page: OpenPage, running: Served, alarm: bool, text: str
) -> None:
    page = opened(open_page, running, sample_report("invalid" if alarm else "ship", alarm=alarm))
    expect(page.locator("#srm-light")).to_contain_text(text)
    sign = page.locator("#srm-light").evaluate("light => getComputedStyle(light, '::before').content")
    assert sign == ('"\u2715"' if alarm else '"\u2713"')
    expected = "missing on 22 September" if alarm else "may be looked at every day"
    expect(page.locator("#srm-text")).to_contain_text(expected)


def test_the_kill_switch_asks_is_refused_and_stops_for_everyone(open_page: OpenPage, running: Served) -> None:
    """Cancelled, without a reason, with a wrong token, with the right one; only the last changes anything."""
    page = opened(open_page, running, sample_report())

    def revision() -> int:
        found: int = httpx.get(f"{running.url}/experiment").json()["revision"]
        return found

    before = revision()
    page.get_by_role("button", name="Stop the experiment").click()
    expect(page.get_by_role("dialog")).to_contain_text("Every unit will be answered by student")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.get_by_role("button", name="Stop the experiment").click()
    page.get_by_label("admin token").fill("wrong")
    page.get_by_role("button", name="Stop it now").click()
    expect(page.locator("#kill-problem")).to_contain_text("Say why")
    page.get_by_label("reason").fill("p99 doubled")
    page.get_by_role("button", name="Stop it now").click()
    expect(page.locator("#kill-problem")).to_contain_text("no valid admin token")
    assert revision() == before
    page.get_by_label("admin token").fill(TOKEN)
    page.get_by_role("button", name="Stop it now").click()
    expect(page.locator("#kill-done")).to_have_text(f"Stopped: revision {before + 1} is in force.")
    expect(page.locator("#experiment-facts")).to_contain_text("stopped: every unit is answered by student")
    expect(page.locator("#kill")).to_be_disabled()
    found = httpx.get(f"{running.url}/experiment").json()
    assert found["document"]["experiments"][0]["kill"] is True
    assert found["revisions"][-1]["reason"] == "p99 doubled"
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert TOKEN not in kept
