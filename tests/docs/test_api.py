"""docs/api.md is what `make api-docs` makes of this code, but for figures and values, which depend on the bundle."""

from __future__ import annotations

import json
import re
from typing import Any

from loadtest.api_markdown import render, shortened
from loadtest.api_reference import Asked, ask_all
from tests.docs.guides import ROOT, TOKEN, Checkout, shape

EXPLAIN = "/student/explain"
"""Answered only by a real student; left out."""
FREE = {"metrics", "lineage", "graph", "logits", "terms", "orders", "scorer_reason"}
"""Members whose own members are a model's business."""


def comparable(reference: str) -> str:
    """The reference with what depends on the bundle taken out of its examples."""

    def block(match: re.Match[str]) -> str:
        language, text = match[1], match[2]
        head, _, body = text.partition("\n\n") if language == "http" else ("", "", text)
        if language == "text":
            return re.sub(r"[\d.]+", "0", text)
        known = json.dumps(shape(without_free(json.loads(body)))) if body.strip() else ""
        return re.sub(r"\b[0-9a-f]{12}\b", "VERSION", head) + known

    before, explain, rest = reference.partition(f"### POST {EXPLAIN}\n")
    _, heading, after = rest.partition("\n## ")
    return re.sub(r"^```(\w+)\n(.*?)^```$", block, before + explain + heading + after, flags=re.DOTALL | re.MULTILINE)


def without_free(value: Any) -> Any:
    match value:
        case dict():
            return {key: "…" if key in FREE else without_free(member) for key, member in value.items()}
        case list():
            return [without_free(member) for member in value]
        case _:
            return value


def test_the_reference_is_that_of_this_code(checkout: Checkout) -> None:
    document, answers = ask_all(Asked(checkout.url, TOKEN))
    committed = (ROOT / "docs/api.md").read_text()
    assert comparable(render(document, answers)) == comparable(committed), "run `make api-docs` and commit docs/api.md"
    refused = {path: one.status for (_, path), one in answers.items() if one.status != 200}
    assert refused == {"/models/{arm}/rollback": 409, EXPLAIN: 409}, "one version, and no student"


def test_every_route_type_and_problem_stands_in_the_reference(checkout: Checkout) -> None:
    document = json.loads(checkout.run_command(["curl", "-sf", f"{checkout.url}/openapi.json"], "openapi"))
    committed = (ROOT / "docs/api.md").read_text()
    for path, methods in document["paths"].items():
        for method in methods:
            assert f"\n### {method.upper()} {path}\n" in committed
    for name in document["components"]["schemas"]:
        assert f"\n### {name}\n" in committed


def test_long_lists_and_deep_values_are_cut() -> None:
    assert shortened({"a": [1, 2, 3, 4, 5]}) == {"a": [1, 2, 3, "…"]}
    assert shortened([[[[[[1]]]]]]) == [[[[["…"]]]]]
