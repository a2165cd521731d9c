"""What the page says when there is nothing to show: which, why and what to do; and that it recovers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from service.settings import Settings
from tests.service.web.conftest import Served, serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.service.web.conftest import OpenPage


@pytest.fixture
def own(outer_path: Path) -> Iterator[Served]:
    """A service of one's own, to stop and start, without a teacher and without traffic."""
    with serving(Settings(student_bundle=outer_path.parent, teacher_bundle=None)) as service:
        yield service


def test_from_no_traffic_over_down_to_not_ready_and_back(
    open_page: OpenPage, own: Served, broken: Callable[..., Path], outer_path: Path
) -> None:
    watched = open_page(own.url)
    page = watched.page
    expect(page.locator("#state")).to_have_text("ready, no traffic")
    expect(page.locator("#notice")).to_contain_text("nobody has asked yet")
    expect(page.locator("#saved-note")).to_have_text("no teacher to compare with")
    expect(page.locator("#experiment-none")).to_contain_text("CTR_EVENTS")

    own.stop()
    expect(page.locator("#state")).to_have_text("down")
    expect(page.locator("#notice")).to_contain_text("does not answer")
    expect(page.locator("#notice")).to_contain_text("Start it again")

    own.start(Settings(student_bundle=broken(model_onnx=b"no graph"), teacher_bundle=None))
    expect(page.locator("#state")).to_have_text("not ready")
    expect(page.locator("#notice")).to_contain_text("onnxruntime refuses it")

    own.stop()
    own.start(Settings(student_bundle=outer_path.parent, teacher_bundle=outer_path.parent / "nowhere"))
    expect(page.locator("#state")).to_have_text("degraded")
    expect(page.locator("#notice")).to_contain_text("nowhere does not exist")
    own.ask("/predict", {"context": {"user": "u1", "hour": 1}, "items": ["i1"]})
    expect(page.locator("#costs tbody")).to_contain_text("tiny-student")

    assert all("/readyz" in each or "ERR_" in each for each in watched.complaints), watched.complaints
    watched.complaints.clear()
    page.goto("about:blank")


def test_counters_that_began_again_are_no_negative_rates(open_page: OpenPage, own: Served) -> None:
    """A restarted service counts from zero; the page shows what it counts since."""
    body = {"context": {"user": "u1", "hour": 1}, "items": ["i1"]}
    for _ in range(30):
        own.ask("/predict", body)
    watched = open_page(own.url)
    page = watched.page
    expect(page.locator("#state")).to_have_text("live")
    own.stop()
    own.start()
    for _ in range(5):
        own.ask("/predict", body)
    expect(page.locator("#costs tbody tr td").last).to_have_text("5")
    expect(page.locator("#rate")).not_to_have_text("\u2013")
    assert not page.locator("#rate").inner_text().startswith("\u2212")
    watched.complaints[:] = [each for each in watched.complaints if "ERR_" not in each]
    page.goto("about:blank")
