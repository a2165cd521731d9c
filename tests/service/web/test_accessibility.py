"""Rules that need no judgement: names, headings, contrast, targets, width, movement; in both colour schemes."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.service.web.conftest import DESKTOP, PHONE
from tests.service.web.sample_report import sample_report

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.service.web.conftest import OpenPage

RULES = Path(__file__).with_name("accessibility.js").read_text()


def broken(page: Page, rule: str) -> Any:
    """What a rule of accessibility.js finds."""
    return page.evaluate(f"() => {{ {RULES} return {rule}(); }}")


def full(page: Page) -> Page:
    """The page with everything on it: live figures, a report, an answer with its reasons."""
    expect(page.locator("#costs tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#terms")).to_be_visible()
    return page


@pytest.fixture
def fulfilled(open_page: OpenPage) -> Any:
    """Opens the page with an experiment that has a report, both from elsewhere."""
    arms = [{"name": name, "model": None, "weight": 5000} for name in ("teacher", "student")]
    experiment = {"name": "rank", "phase": 1, "mode": "ab", "ramp": 100.0, "kill": False, "arms": arms}
    revisions = [{"revision": 1, "ts_ms": 1_790_000_000_000, "action": "start", "reason": ""}]
    document = {"default": "student", "experiments": [experiment]}
    answer = {"revision": 1, "document": document, "models": ["student", "teacher"], "revisions": revisions}

    def opened(**options: Any) -> Page:
        page = open_page(path="/healthz", **options).page
        page.route("**/experiment", lambda route: route.fulfill(json=answer))
        page.route("**/experiment/report**", lambda route: route.fulfill(json=sample_report("stop_harm", alarm=True)))
        page.goto(page.url.removesuffix("healthz"))
        expect(page.locator("#table4")).to_be_visible()
        return full(page)

    return opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_text_stands_out_everything_has_a_name_and_nothing_is_wider_than_the_screen(
    fulfilled: Any, scheme: str, size: str
) -> None:
    page = fulfilled(color_scheme=scheme, viewport=PHONE if size == "phone" else DESKTOP)
    faint = broken(page, "faint")
    assert faint["found"] == []
    assert faint["looked"] > 200
    assert broken(page, "nameless") == []
    assert broken(page, "small") == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 16, 21)"
    assert dark == (scheme == "dark")


def test_headings_go_down_one_level_at_a_time_and_there_is_one_first(fulfilled: Any) -> None:
    levels = broken(fulfilled(), "levels")
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(deeper <= level + 1 for level, deeper in pairwise(levels)), levels


def test_ids_are_unique_and_references_lead_somewhere(fulfilled: Any) -> None:
    assert broken(fulfilled(), "lost") == []


def test_whoever_asks_for_less_movement_gets_none(fulfilled: Any) -> None:
    page = fulfilled(reduced_motion="reduce")
    assert broken(page, "moving") == []
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_what_is_drawn_again_moves_nothing(fulfilled: Any) -> None:
    """No layout shift over two rounds of polling once everything is there."""
    page = fulfilled()
    page.wait_for_timeout(600)
    page.evaluate(
        "() => { window.shift = 0; new PerformanceObserver(list => {"
        " for (const entry of list.getEntries()) window.shift += entry.value; }).observe({ type: 'layout-shift' }); }"
    )
    page.wait_for_timeout(4500)
    assert page.evaluate("window.shift") < 0.01
