"""The form: both models' answers, what moves, and terms that add up."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.service.web.conftest import PHONE, serving

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page, Route

    from tests.service.web.conftest import OpenPage, Served


def ask(page: Page, user: str, items: str) -> None:
    page.locator("#try-user").fill(user)
    page.locator("#try-items").fill(items)
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#ranks")).to_be_visible()


def table(page: Page, name: str) -> list[list[str]]:
    script = "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))"
    found: list[list[str]] = page.locator(f"#{name} tbody tr").evaluate_all(script)
    return found


def signed(text: str) -> float:
    return float(text.replace("\u2212", "-"))


def test_both_models_answer_as_predict_does_and_ranks_are_theirs(open_page: OpenPage, served: Served) -> None:
    page = open_page().page
    items = ["i0", "i1", "i2", "i3", "i4", "i5"]
    ask(page, "u7", " ".join(items))
    body = {"context": {"user": "u7", "hour": 13}, "items": items}
    student, teacher = (served.ask(f"/{arm}/predict", body)["probabilities"] for arm in ("student", "teacher"))
    rows = {row[0]: row for row in table(page, "ranks")}
    assert list(rows) == [items[i] for i in sorted(range(6), key=lambda i: -student[i])]
    for i, item in enumerate(items):
        _, rank, ours, _, theirs, _, their_rank, moved = rows[item]
        assert (ours, theirs) == (f"{student[i]:.4f}", f"{teacher[i]:.4f}")
        places = 1 + sum(other > student[i] for other in student), 1 + sum(other > teacher[i] for other in teacher)
        assert (int(rank), int(their_rank)) == places
        by = places[0] - places[1]
        assert ("up" in moved, "down" in moved, moved == "same place") == (by > 0, by < 0, by == 0)
    expect(page.locator("#try-status")).to_have_text(re.compile("candidates|first one|comes first"))


def test_nothing_can_be_asked_before_the_form_knows_the_fields(served: Served, open_page: OpenPage) -> None:
    page = open_page(path="/healthz").page
    waiting: list[Route] = []
    page.route("**/models/student/example", lambda route: waiting.append(route))  # noqa: PLW0108 - no signature
    page.goto(served.url)
    expect(page.locator("#serving")).to_contain_text("student")
    buttons = page.locator("#try-form .actions button")
    for i in range(3):
        expect(buttons.nth(i)).to_be_disabled()
    expect(page.locator("#try-context")).to_contain_text("Waiting for the model's fields")
    for _ in range(500):
        if not waiting:
            page.wait_for_timeout(20)
    waiting[0].continue_()
    for i in range(3):
        expect(buttons.nth(i)).to_be_enabled()
    buttons.first.click()
    expect(page.locator("#ranks")).to_be_visible()


def test_the_terms_of_the_chosen_candidate_add_up_to_its_logit(open_page: OpenPage, served: Served) -> None:
    page = open_page().page
    ask(page, "u3", "i0, i4, i9")
    page.get_by_role("button", name="i4").click()
    explained = served.ask("/student/explain", {"context": {"user": "u3", "hour": 13}, "items": ["i0", "i4", "i9"]})
    expect(page.locator("#why-sum")).to_contain_text("i4")
    logit = signed(page.locator("#why-logit").inner_text())
    assert logit == pytest.approx(explained["logits"][1], abs=6e-4)
    *rows, last = table(page, "terms")
    assert [row[0] for row in rows] == explained["fields"]
    terms = [[signed(text) for text in row[1:-1]] for row in rows]
    for f, row in enumerate(terms):
        assert row == pytest.approx([explained["terms"][1][t][f] for t in range(3)], abs=6e-4)
    assert explained["bias"] + sum(map(sum, terms)) == pytest.approx(logit, abs=0.01)
    assert signed(last[-1]) == pytest.approx(sum(map(sum, explained["terms"][1])), abs=6e-4)
    apart = table(page, "apart")
    assert [row[0] for row in apart] == ["item", "category", "price", "together"]  # user and hour are the same for all
    mean = sum(sum(map(sum, terms)) for terms in explained["terms"]) / 3
    assert signed(apart[-1][-1]) == pytest.approx(sum(map(sum, explained["terms"][1])) - mean, abs=6e-4)
    expect(page.locator("#why-said")).to_have_text(re.compile(r"(order-\d interactions of|alone)", re.IGNORECASE))


def test_the_form_offers_values_and_says_which_are_unknown(open_page: OpenPage) -> None:
    page = open_page().page
    page.locator("#try-user").fill("u1")
    expect(page.locator("#try-user-values option")).to_have_count(11)
    page.locator("#try-user").fill("nobody")
    expect(page.locator("#try-user-note")).to_have_text("not known: scored as unknown")


def test_an_item_can_be_searched_and_added_and_others_drawn(open_page: OpenPage) -> None:
    page = open_page().page
    page.locator("#try-add").fill("i8")
    page.locator("#try-add").press("Enter")
    assert page.locator("#try-items").input_value() == "i0, i1, i2, i3, i8"
    page.get_by_role("button", name="Other items").click()
    expect(page.locator("#try-items")).not_to_have_value("i0, i1, i2, i3, i8")
    page.get_by_role("button", name="Example").click()
    assert page.locator("#try-items").input_value() == "i0, i1, i2, i3"


def test_what_the_service_refuses_is_said_in_its_words(open_page: OpenPage) -> None:
    watched = open_page()
    watched.page.locator("#try-items").fill("i0 lost")
    watched.page.get_by_role("button", name="Predict").click()
    expect(watched.page.locator("#try-status")).to_contain_text("items[1] is 'lost'")
    expect(watched.page.locator("#try-answer")).to_be_hidden()
    watched.complaints[:] = [each for each in watched.complaints if not each.startswith("422:")]


def test_by_keyboard_alone_one_gets_from_the_top_to_an_explanation(open_page: OpenPage) -> None:
    """Every step is a key: skip link, quantile, form, prediction, another candidate's reasons."""
    page = open_page().page
    expect(page.locator("#try-user")).to_be_visible()

    def tab_to(selector: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement?.matches(selector)", selector):
                shape = "const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement); "
                seen = page.evaluate(
                    f"() => {{ {shape} return outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2; }}"
                )
                assert seen, f"the focus on {selector} cannot be seen"
                return
        pytest.fail(f"Tab does not reach {selector}")

    tab_to("a.skip")
    page.keyboard.press("Enter")
    tab_to("[data-quantile='1']")
    page.keyboard.press("Space")
    expect(page.locator("[data-quantile='1']")).to_have_attribute("aria-pressed", "true")
    tab_to("#try-user")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("u5")
    page.keyboard.press("Enter")
    expect(page.locator("#ranks")).to_be_visible()
    tab_to("button.item[aria-pressed='false']")
    chosen = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    expect(page.locator("#why-sum")).to_contain_text(f"{chosen}:")


def test_without_a_catalogue_teacher_or_weights_the_form_still_answers(open_page: OpenPage, bundles: Path) -> None:
    """Columns instead of items, the student's column alone, and a reason where there are no terms."""
    from service.settings import Settings  # noqa: PLC0415 - for this test alone

    with serving(Settings(student_bundle=bundles / "no-catalogue", teacher_bundle=None)) as bare:
        watched = open_page(bare.url, viewport=PHONE)
        page = watched.page
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#try-ranks .notice")).to_contain_text("No teacher beside it")
        expect(page.locator("#ranks tbody tr")).to_have_count(4)
        expect(page.locator("#try-why .notice")).to_contain_text("do not split into terms")
        page.locator("#try-columns").fill("{")
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#try-status")).to_contain_text("not JSON")
        expected = ("503: " + bare.url + "/teacher/predict", "409: " + bare.url + "/student/explain")
        assert set(watched.complaints) == set(expected)
        watched.complaints.clear()
        page.goto("about:blank")  # before the service stops under it
