"""Tables of the HTML report: header cells name rows and columns, so that they can be heard as well as seen."""

from __future__ import annotations

from collections.abc import Sequence

from service.experiment.report.markup import Child, Markup, element, joined


def table(caption: str, columns: Sequence[str], rows: Sequence[Markup]) -> Markup:
    """A table that scrolls sideways where it is too wide."""
    head = element("thead", element("tr", *(element("th", column, scope="col") for column in columns)))
    whole = element("table", element("caption", caption), head, element("tbody", *rows))
    scrolled = element("div", whole, class_="scroll", tabindex=0, role="region", aria_label=caption)
    return joined(element("p", caption, class_="note", aria_hidden="true"), scrolled)


def row(name: Child, *cells: Child, class_: str | None = None) -> Markup:
    """A row whose first cell names it; cells that are Markup of a `td` stay as they are."""
    inside = [cell if cell.startswith("<td") and isinstance(cell, Markup) else element("td", cell) for cell in cells]
    return element("tr", element("th", name, scope="row"), *inside, class_=class_)


def cell(value: Child, below: str = "", class_: str | None = None) -> Markup:
    """A number with its interval in small print."""
    return element("td", value, *([element("small", below)] if below else []), class_=class_)


def section(title: str, *children: Child) -> Markup:
    """A part of the report under its heading."""
    return element("section", element("h2", title), *children)
