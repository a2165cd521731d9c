"""The page: whole, self-contained, and deaf to markup in data."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from service.events.sql import SqlStore
from service.events.store import Batch
from service.experiment.report.build import build_report
from service.experiment.report.html import render_html
from service.experiment.report.markup import Markup, element, joined
from service.experiment.report.schema import Reason, Report
from service.experiment.report.text import render_text
from tests.service.experiment.report.stores import STUDENT, TEACHER, World, document, fill, shadows

EVIL = '<script>alert("x")</script>&\'"'
VOID = {"meta", "line", "circle", "polyline", "polygon"}


class Checked(HTMLParser):
    """Reads a page and complains about tags that do not nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def hostile(report: Report) -> Report:
    """The report with markup in every string that comes from data."""
    [comparison] = report.comparisons
    return replace(
        report,
        verdict=replace(report.verdict, treatment=EVIL, reasons=(Reason(code=EVIL, text=EVIL, treatment=EVIL),)),
        arms=tuple(replace(arm, arm=EVIL, models=(EVIL,)) for arm in report.arms),
        improvements=tuple(replace(row, treatment=EVIL) for row in report.improvements),
        comparisons=(replace(comparison, treatment=EVIL), replace(comparison, primary=None, missing=EVIL)),
        quality=tuple(replace(row, arm=EVIL, missing=(EVIL,)) for row in report.quality),
        shadow=tuple(replace(row, primary=EVIL, shadow=EVIL) for row in report.shadow),
        srm=replace(report.srm, counts={EVIL: 3}, shares={EVIL: 1.0}, alarm=True),
        provenance=replace(report.provenance, experiment=EVIL, reasons={EVIL: 1}, config_hash=EVIL),
    )


@pytest.fixture
def report(store: SqlStore) -> Report:
    fill(store, document(), World(units=500, arms={"teacher": TEACHER, "student": STUDENT}))
    store.write(Batch(shadows=shadows(50)))
    return build_report(store)


def test_the_page_nests_and_needs_nothing_from_elsewhere(report: Report) -> None:
    page = render_html(report)
    tags = Checked(page).tags
    assert {"script", "link", "img", "iframe", "object"}.isdisjoint(tag for tag, _ in tags)
    assert not re.search(r"https?:|url\(|@import|javascript:", page)
    assert {"src", "href", "onclick", "onload"}.isdisjoint(key for _, given in tags for key in given)


def test_markup_in_data_stays_text(report: Report) -> None:
    page = render_html(hostile(report))
    assert [tag for tag, _ in Checked(page).tags if tag == "script"] == []
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 10


def test_every_table_names_its_rows_and_columns_and_every_chart_says_what_it_shows(report: Report) -> None:
    tags = Checked(render_html(report)).tags
    names = [tag for tag, _ in tags]
    assert names.count("table") == names.count("caption") >= 6
    assert all(given.get("scope") in {"row", "col"} for tag, given in tags if tag == "th")
    charts = [given for tag, given in tags if tag == "svg"]
    assert names.count("title") == len(charts) + 1
    assert all(given.get("role") == "img" for given in charts)
    assert len(charts) == 1 + 5 + 2


def test_the_verdict_and_the_numbers_of_the_report_stand_in_it(report: Report) -> None:
    page = render_html(report)
    for reason in report.verdict.reasons:
        assert reason.text.replace("'", "&#x27;") in page
    assert report.provenance.config_hash in page
    primary = report.comparisons[0].primary
    assert primary is not None
    assert f"{100 * primary.estimate:+.2f}".replace("-", "\N{MINUS SIGN}") in page


def test_an_empty_phase_has_a_page_and_a_text_too(store: SqlStore) -> None:
    fill(store, document(), World(units=0))
    empty = build_report(store)
    assert "Inconclusive" in render_html(empty)
    Checked(render_html(empty))
    assert "Inconclusive" in render_text(empty)


def test_the_text_has_the_verdict_the_table_and_the_guardrails(report: Report) -> None:
    text = render_text(report)
    assert "rank, phase 1" in text
    assert all(reason.code in text for reason in report.verdict.reasons)
    assert "student@v1" in text
    assert "Latency, p99" in text
    assert "\x1b[" not in text
    assert "\x1b[" in render_text(report, color=True)
    assert max(map(len, text.splitlines())) <= 120


def test_elements_escape_what_is_not_markup() -> None:
    assert element("p", "<", Markup("<b/>"), class_="a", title='"') == '<p class="a" title="&quot;">&lt;<b/></p>'
    assert joined("a&", element("line", x1=1.50, aria_label="x", y=None)) == 'a&amp;<line x1="1.5" aria-label="x"/>'
