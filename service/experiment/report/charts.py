"""Charts as inline SVG: no script, no library, colours from the page's style sheet so that they follow its theme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from math import ceil, floor, isfinite, log10, sqrt

from service.experiment.report.markup import Markup, element
from service.experiment.report.schema_arms import Ends, GuardrailView, Look
from service.experiment.report.schema_checks import Bin

_DAY_MS = 86_400_000
_Z = 1.96


@dataclass(frozen=True, kw_only=True, slots=True)
class _Frame:
    """From data to the coordinates of a drawing."""

    x: Ends
    y: Ends
    width: float = 640.0
    height: float = 300.0
    left: float = 62.0
    right: float = 14.0
    top: float = 12.0
    bottom: float = 34.0

    def across(self, value: float) -> float:
        """Horizontal coordinate."""
        inside = (value - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        return self.left + inside * (self.width - self.left - self.right)

    def down(self, value: float) -> float:
        """Vertical coordinate, held within the frame."""
        held = min(max(value, self.y[0]), self.y[1])
        inside = (held - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        return self.height - self.bottom - inside * (self.height - self.top - self.bottom)

    def level(self, y: float, style: str) -> Markup:
        """A line across."""
        return element("line", x1=self.left, x2=self.width - self.right, y1=self.down(y), y2=self.down(y), class_=style)

    def svg(self, label: str, *children: Markup) -> Markup:
        """The drawing, with what it shows in words."""
        box = f"0 0 {self.width:g} {self.height:g}"
        return element("svg", element("title", label), *children, viewBox=box, role="img", class_="chart")


def effect_chart(looks: Sequence[Look], accepted: float) -> Markup:
    """Lift of CTR at every look, with its fixed interval inside its anytime-valid one.

    Args:
        looks: at least two that have an estimate.
        accepted: loss of CTR that success allows; 0 for none.
    """
    known = [look for look in looks if look.estimate is not None]
    frame = _Frame(x=(known[0].ts_ms, known[-1].ts_ms), y=_range(known, accepted))
    times = [look.ts_ms for look in known]
    bands = [
        _band(frame, times, [_bounded(getattr(look, kind)) for look in known], f"band {kind}")
        for kind in ("anytime", "fixed")
    ]
    estimates = [(frame.across(look.ts_ms), frame.down(look.estimate or 0.0)) for look in known]
    line = element("polyline", points=_points(estimates), class_="estimate")
    dot = element("circle", cx=estimates[-1][0], cy=estimates[-1][1], r=4, class_="dot")
    margin = [frame.level(-accepted, "accepted")] if accepted else []
    label = "Lift of CTR over time with fixed and anytime-valid intervals; the table below has the numbers"
    return frame.svg(
        label, *_y_axis(frame, percent=True), *bands, frame.level(0, "zero"), *margin, line, dot, *_dates(frame)
    )


def reliability_chart(bins: Sequence[Bin], arm: str) -> Markup:
    """CTR against mean probability of each bin, with what chance allows around it."""
    most = max(max(one.predicted, one.observed) for one in bins) * 1.15 or 1.0
    frame = _Frame(x=(0, most), y=(0, most), width=320, height=300, left=54, bottom=40)
    diagonal = element(
        "line", x1=frame.across(0), y1=frame.down(0), x2=frame.across(most), y2=frame.down(most), class_="zero"
    )
    marks = chain.from_iterable(_bin(frame, one) for one in bins)
    x_axis = (
        element("text", f"{100 * tick:g}", x=frame.across(tick), y=frame.height - 20, class_="tick middle")
        for tick in _ticks(frame.x)
    )
    names = (
        element("text", "predicted, %", x=(frame.left + frame.width) / 2, y=frame.height - 3, class_="tick middle"),
        element("text", "clicked, %", x=4, y=10, class_="tick"),
    )
    label = f"Calibration of {arm}: CTR against mean probability in bins of equal mass"
    return frame.svg(label, *_y_axis(frame, percent=False), diagonal, *marks, *x_axis, *names)


def guardrail_chart(rail: GuardrailView) -> Markup:
    """The interval of harm on a line with zero and the margin."""
    if rail.fixed is None or rail.harm is None:
        return Markup("")
    frame = _Frame(
        x=(-1.6 * rail.margin, 2.2 * rail.margin), y=(0, 1), width=180, height=26, left=6, right=6, top=4, bottom=4
    )
    low, high = (frame.across(min(max(end, frame.x[0]), frame.x[1])) for end in _bounded(rail.fixed))
    middle = frame.across(min(max(rail.harm, frame.x[0]), frame.x[1]))
    upright = [
        element("line", x1=frame.across(x), x2=frame.across(x), y1=2, y2=24, class_=style)
        for x, style in ((0.0, "zero"), (rail.margin, "accepted"))
    ]
    bar = element("line", x1=low, x2=max(high, low + 2), y1=13, y2=13, class_=f"bar {rail.outcome}")
    dot = element("circle", cx=middle, cy=13, r=4, class_=f"dot {rail.outcome}")
    label = "Interval of harm, left of the dashed margin is good"
    return frame.svg(label, *upright, bar, dot)


def _bin(frame: _Frame, one: Bin) -> tuple[Markup, Markup]:
    reach = _Z * sqrt(one.predicted * (1 - one.predicted) / one.n)
    x = frame.across(one.predicted)
    low, high = frame.down(one.predicted - reach), frame.down(one.predicted + reach)
    return (
        element("line", x1=x, x2=x, y1=low, y2=high, class_="chance"),
        element("circle", cx=x, cy=frame.down(one.observed), r=3.5, class_="dot"),
    )


def _range(looks: Sequence[Look], accepted: float) -> Ends:
    """What the later looks need: the first, with hardly any units, would flatten all the others."""
    later = looks[len(looks) // 5 :]
    ends = [end for look in later for end in (look.anytime or ()) if isfinite(end)]
    low, high = min([0.0, -accepted, *ends]), max([0.0, *ends])
    room = 0.06 * (high - low) or 0.01
    return low - room, high + room


def _bounded(ends: Ends | None) -> Ends:
    low, high = ends or (float("-inf"), float("inf"))
    return (low if isfinite(low) else -1e9), (high if isfinite(high) else 1e9)


def _band(frame: _Frame, times: Sequence[int], ends: Sequence[Ends], style: str) -> Markup:
    upper = [(frame.across(time), frame.down(high)) for time, (_, high) in zip(times, ends, strict=True)]
    lower = [(frame.across(time), frame.down(low)) for time, (low, _) in zip(times, ends, strict=True)]
    return element("polygon", points=_points([*upper, *reversed(lower)]), class_=style)


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _y_axis(frame: _Frame, *, percent: bool) -> list[Markup]:
    marks = []
    for tick in _ticks(frame.y):
        text = f"{100 * tick:+g} %" if percent and tick else f"{100 * tick:g}{' %' if percent else ''}"
        marks.append(frame.level(tick, "grid"))
        label = text.replace("-", "\N{MINUS SIGN}")
        marks.append(element("text", label, x=frame.left - 8, y=frame.down(tick) + 4, class_="tick end"))
    return marks


def _ticks(ends: Ends, wanted: int = 5) -> list[float]:
    """Round numbers within an interval."""
    rough = (ends[1] - ends[0]) / wanted
    size = 10 ** floor(log10(rough))
    step = next(size * nice for nice in (1, 2, 5, 10) if size * nice >= rough)
    return [round(number * step, 12) for number in range(ceil(ends[0] / step), floor(ends[1] / step) + 1)]


def _dates(frame: _Frame) -> list[Markup]:
    """Four dates, with the time of day where they are close."""
    span = frame.x[1] - frame.x[0]
    form = "%d %b" if span > 3 * _DAY_MS else "%d %b %H:%M"
    marks = []
    for quarter in range(4):
        ts_ms = frame.x[0] + span * quarter / 3
        text = datetime.fromtimestamp(ts_ms / 1000, UTC).strftime(form)
        place = ("start", "middle", "middle", "end")[quarter]
        marks.append(element("text", text, x=frame.across(ts_ms), y=frame.height - 10, class_=f"tick {place}"))
    return marks
