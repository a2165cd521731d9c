"""The page's pure functions, in the browser that runs them, against the client library and against definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.service.web.conftest import Served

MINUS, UNKNOWN, NARROW = "\u2212", "\u2013", "\u202f"
Evaluate = Callable[..., Any]
CALL = "async ([module, name, given]) => (await import(`/web/${module}.js`))[name](...given)"


@pytest.fixture(scope="module")
def evaluate(chromium: Browser, served: Served) -> Iterator[Evaluate]:
    """Runs a script in one page with the arguments as its list."""
    page = chromium.new_page()
    page.goto(served.url)
    yield lambda script, *arguments: page.evaluate(script, list(arguments))
    page.close()


@pytest.fixture
def call(evaluate: Evaluate) -> Evaluate:
    """Calls a function of a module of the page."""
    return lambda module, function, *arguments: evaluate(CALL, module, function, list(arguments))


PARSED = """async ([text]) => {
  const { parse } = await import("/web/prometheus.js");
  return [...parse(text)].flatMap(([name, samples]) => samples.map(
    ({ labels, value }) => [name, labels, String(value)],
  ));
}"""


def test_the_parser_reads_what_the_client_library_writes(evaluate: Evaluate) -> None:
    """Odd labels, tiny, huge and infinite numbers, histograms: sample for sample as the library's own parser."""
    registry = CollectorRegistry()
    counter = Counter("c", 'help with "quotes" and \\ and\nlines', ["a", "b"], registry=registry)
    for a, b in (('say "hi"', "back\\slash"), ("two\nlines", "{x=1,}"), ("日本語's", ""), ('a="b"', "\\n")):
        counter.labels(a=a, b=b).inc(1.5)
    gauge = Gauge("g", "g", ["which"], registry=registry)
    for which, value in (("big", 1e300), ("small", 5e-324), ("down", -np.inf), ("up", np.inf), ("minus", -0.25)):
        gauge.labels(which=which).set(value)
    histogram = Histogram("h", "h", ["x"], buckets=(0.001, 0.5, 2.5), registry=registry)
    for value in (0.0005, 0.4, 1, 7):
        histogram.labels(x="1").observe(value)
    text = generate_latest(registry).decode()
    expected = [
        [sample.name, sample.labels, float(sample.value)]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    got = [[name, labels, float(value.replace("Infinity", "inf"))] for name, labels, value in evaluate(PARSED, text)]
    assert sorted(got, key=str) == sorted(expected, key=str)


QUANTILE = """async ([text, q]) => {
  const { parse } = await import("/web/prometheus.js");
  const { histogram, quantile, placeOf, mean } = await import("/web/quantiles.js");
  const found = histogram(parse(text), "h");
  return [quantile(found, q), placeOf(found, q), mean(found)];
}"""


@pytest.mark.parametrize("q", [0.01, 0.25, 0.5, 0.9, 0.95, 0.99])
def test_quantiles_of_evenly_filled_buckets_are_those_of_the_values(evaluate: Evaluate, q: float) -> None:
    """Where values are spread evenly within the buckets, interpolating is exact."""
    values = (np.arange(10_000) + 0.5) / 10_000
    registry = CollectorRegistry()
    histogram = Histogram("h", "h", buckets=(0.1, 0.2, 0.5, 0.7, 1.0), registry=registry)
    for value in values:
        histogram.observe(value)
    got, place, mean = evaluate(QUANTILE, generate_latest(registry).decode(), q)
    assert got == pytest.approx(np.quantile(values, q), abs=1e-4)
    assert place == ("below" if q < 0.1 else "inside")
    assert mean == pytest.approx(0.5)


def test_quantiles_at_the_edges(evaluate: Evaluate) -> None:
    def of(counts: list[int], q: float) -> tuple[float | None, str]:
        buckets = {"bounds": [1, 2, 4], "counts": counts, "count": counts[-1], "sum": 0}
        script = """async ([h, q]) => {
          const { quantile, placeOf } = await import("/web/quantiles.js");
          h.bounds.push(Infinity);
          return [quantile(h, q), placeOf(h, q)];
        }"""
        value, place = evaluate(script, buckets, q)
        return value, place

    assert of([0, 0, 0, 0], 0.5) == (None, "inside")  # nothing observed: nothing claimed
    assert of([0, 0, 0, 5], 0.5) == (4, "above")  # the truth is larger than the last bound
    assert of([4, 4, 4, 4], 0.5) == (0.5, "below")
    assert of([0, 2, 4, 4], 0.5) == (2, "inside")
    assert of([0, 2, 4, 4], 0.75) == (3, "inside")


SINCE = """async ([now, then, name, match]) => {
  const { parse } = await import("/web/prometheus.js");
  const { increase, observed } = await import("/web/quantiles.js");
  return [increase(parse(now), parse(then), name, match), observed(parse(now), parse(then), "h", {}).counts];
}"""


def test_what_a_restarted_service_counted_is_not_taken_for_a_loss(evaluate: Evaluate) -> None:
    then = 'c{a="1"} 10\nc{a="2"} 5\nh_bucket{le="1"} 3\nh_bucket{le="+Inf"} 9\n'
    now = 'c{a="1"} 12\nc{a="2"} 4\nc{a="3"} 7\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\n'
    increased, counts = evaluate(SINCE, now, then, "c", {})
    assert increased == 2 + 4 + 7  # grown, restarted, new
    assert counts == [1, 2]
    assert evaluate(SINCE, now, then, "c", {"a": "1"})[0] == 2


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        ("short", 0, "0"),
        ("short", 0.12345, "0.123"),
        ("short", 1234.5, "1,235"),
        ("short", -12.34, f"{MINUS}12.3"),
        ("short", None, UNKNOWN),
        ("large", 4032, "4.03 k"),
        ("large", 999_999, "1.00 M"),
        ("large", 1.2e12, "1.20 T"),
        ("tally", 257, "257"),
        ("tally", 1_234_567, "1.23 M"),
        ("duration", 0.00025, "250 µs"),
        ("duration", 0.0012345, "1.23 ms"),
        ("duration", 0.9999, "1.00 s"),
        ("duration", None, UNKNOWN),
        ("percent", 0.1234, "12.3 %"),
        ("signed", 0.423, "+0.42"),
        ("signed", -0.001, "0.00"),
        ("signed", -1.5, f"{MINUS}1.50"),
        ("probability", 0.99219, "0.9922"),
        ("probability", 0.000123, "0.00012"),
        ("pValue", 0.0004, "p < 0.001"),
        ("pValue", 0.0421, "p = 0.042"),
        ("span", 240, "4 min"),
        ("span", 90, "90 s"),
        ("span", 120, "2 min"),
    ],
)
def test_numbers_are_written_for_people(call: Evaluate, function: str, value: float, text: str) -> None:
    assert call("format", function, value).replace(NARROW, " ") == text


@pytest.mark.parametrize("largest", [0.00031, 0.9, 1, 7, 26.4, 99.9, 100, 2500, 1.7e9])
def test_an_axis_holds_the_largest_value_with_few_round_ticks(call: Evaluate, largest: float) -> None:
    axis = call("line_chart", "scale", largest)
    assert largest <= axis["top"] * (1 + 1e-9) <= 1.7 * largest
    assert 3 <= len(axis["ticks"]) <= 6
    assert axis["ticks"][0] == 0
    assert axis["ticks"][-1] == pytest.approx(axis["top"])


def test_ranks_keep_the_order_sent_among_equals(call: Evaluate) -> None:
    assert call("ranks", "ranksOf", [0.1, 0.9, 0.5, 0.9]) == [4, 1, 3, 2]


def test_the_summary_names_the_strongest_terms_with_their_signs(call: Evaluate) -> None:
    terms = [[0.1, -0.9], [0.42, 0.0]]
    assert call("why", "summary", terms, ["user", "item"], [1, 2]) == (
        f"Item alone takes {MINUS}0.90; order-2 interactions of user add +0.42; user alone adds +0.10."
    )
