"""The figures on the page are those of /metrics."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import expect
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.service.web.conftest import OpenPage, Served

PREFIXES = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def scraped(served: Served) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(httpx.get(f"{served.url}/metrics").text)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def value(served: Served, name: str, **labels: str) -> float:
    return scraped(served)[name, tuple(sorted(labels.items()))]


def number(text: str) -> float:
    """What a figure of the page says, its prefix included."""
    found = re.match(r"([\d,.]+)\s?([kMGT]?)", text)
    assert found is not None, text
    return float(found[1].replace(",", "")) * PREFIXES[found[2]]


def cells(page: Page, table: str) -> list[list[str]]:
    script = "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))"
    found: list[list[str]] = page.locator(f"#{table} tbody tr").evaluate_all(script)
    return found


def test_the_page_says_what_is_served_and_that_it_is_live(open_page: OpenPage) -> None:
    page = open_page().page
    expect(page.locator("#state")).to_have_text("live")
    expect(page.locator("#serving")).to_contain_text("tiny-student@v1")
    expect(page.locator("#serving")).to_contain_text("tiny-teacher@v1")
    expect(page.locator("#notice")).to_be_hidden()


def test_candidates_costs_and_savings_are_those_counted(open_page: OpenPage, served: Served) -> None:
    page = open_page().page
    expect(page.locator("#costs tbody tr")).to_have_count(2)
    models = {row[0].split()[0]: row for row in cells(page, "costs")}
    spent = {}
    for name, model in (("tiny-student", "tiny-student@v1"), ("tiny-teacher", "tiny-teacher@v1")):
        candidates = value(served, "ctr_candidates_total", model=model)
        executed = value(served, "ctr_model_flops_per_candidate", model=model, kind="executed")
        assert number(models[name][1]) == pytest.approx(executed, rel=0.005)
        assert number(models[name][4]) == candidates
        spent[name] = (candidates, executed)
    candidates, executed = spent["tiny-student"]
    saved = candidates * (spent["tiny-teacher"][1] - executed)
    assert number(page.locator("#saved").inner_text()) == pytest.approx(saved, rel=0.005)


def test_unknown_values_are_counted_by_field_and_role(open_page: OpenPage, served: Served) -> None:
    page = open_page().page
    expect(page.locator("#unknown tbody tr")).to_have_count(5)
    rows = {row[0].split()[0]: row for row in cells(page, "unknown")}
    unknown = value(served, "ctr_oov_total", field="user")
    asked = sum(
        v
        for (name, labels), v in scraped(served).items()
        if name == "ctr_request_duration_seconds_count" and ("arm", "none") not in labels
    )
    assert unknown > 0
    assert rows["user"][3] == f"{unknown:.0f} of {asked:.0f}"
    assert rows["item"][1] == "0\u202f%"


def test_rates_and_latencies_follow_the_traffic(open_page: OpenPage, served: Served) -> None:
    """Requests sent while the page looks on appear in tiles, charts and the table of stages."""
    page = open_page().page
    expect(page.locator("#updated")).to_contain_text("Updated")
    body = {"context": {"user": "u1", "hour": 3}, "items": ["i1", "i2"]}
    for turn in range(40):
        served.ask("/teacher/predict" if turn % 2 else "/student/predict", body)
    for arm in ("student", "teacher"):  # a scrape amid the forty has some of them
        answers = page.locator("#stages tr", has_text="whole request").filter(has_text=arm).locator("td").nth(4)
        expect(answers).to_have_text("20")
    rows = cells(page, "stages")
    assert all(re.match(r"[<>]?\s?[\d.,]+\s?(µs|ms|s)$", text) for row in rows for text in row[2:5]), rows
    expect(page.locator("#rate-chart svg")).to_have_attribute(
        "aria-label", re.compile(r"student: now [\d.]+.*teacher: now")
    )
    expect(page.locator("#latency-legend")).to_contain_text("teacher")
    assert number(page.locator("#rate").inner_text()) > 0


def test_the_quantile_that_is_drawn_can_be_chosen(open_page: OpenPage) -> None:
    page = open_page().page
    expect(page.locator("#latency-chart svg")).to_have_attribute("aria-label", re.compile("Latency p99"))
    page.get_by_role("button", name="p50").click()
    expect(page.locator("#latency-chart svg")).to_have_attribute("aria-label", re.compile("Latency p50"))
    expect(page.get_by_role("button", name="p50")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="p99")).to_have_attribute("aria-pressed", "false")


def test_the_distribution_of_answers_is_told_in_words_too(open_page: OpenPage) -> None:
    chart = open_page().page.locator("#scores-chart svg")
    expect(chart).to_have_attribute("aria-label", re.compile(r"tiny-student@v1: median 0\.\d{4}, 80.% from"))


def test_a_paused_page_asks_nothing_until_it_is_resumed(open_page: OpenPage) -> None:
    page = open_page().page
    expect(page.locator("#state")).to_have_text("live")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#state")).to_have_text("paused")
    page.wait_for_timeout(500)  # what was asked before has been answered
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2500)
    assert [url for url in asked if url.endswith("/metrics")] == []
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#state")).to_have_text("live")
