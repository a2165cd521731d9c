"""Whether every query of every panel finds something in a running Prometheus: its HTTP API is asked what Grafana would.

Read from the dashboards' files, because Grafana itself has no such check and Prometheus is the one that answers. What
Grafana puts in for a variable is put in here: any value for one that is looked up, what stands in the dashboard for one
that people type, usual lengths for those of time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from loadtest.proof.checks import Check
from loadtest.proof.compose.load import OK

TIMES = {"__rate_interval": "1m", "__interval": "15s", "__range": "5m", "__range_s": "300"}
ANY = ".+"


@dataclass(frozen=True, kw_only=True)
class Query:
    """One query of one panel."""

    dashboard: str
    panel: str
    expression: str
    """PromQL without variables."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What Prometheus said to a query."""

    query: Query
    series: int
    error: str
    """Empty where it was answered."""


def queries(folder: Path) -> list[Query]:
    """Every query of the dashboards in a folder; raises FileNotFoundError where there is none."""
    files = sorted(folder.rglob("*.json"))
    if not files:
        raise FileNotFoundError(f"{folder}: holds no dashboard (*.json)")
    return [query for file in files for query in _of_dashboard(orjson.loads(file.read_bytes()))]


def _of_dashboard(dashboard: Mapping[str, Any]) -> Iterator[Query]:
    variables = dashboard.get("templating", {}).get("list", ())
    values = {variable["name"]: _value(variable) for variable in variables}
    for panel in _panels(dashboard):
        for target in panel.get("targets", ()):
            if target.get("expr"):
                expression = expanded(target["expr"], values)
                yield Query(dashboard=dashboard["title"], panel=panel.get("title", ""), expression=expression)


def _value(variable: Mapping[str, Any]) -> str:
    """What a variable stands for: anything, where Grafana would look it up, else the first of what is offered."""
    return ANY if variable["type"] == "query" else str(variable["query"]).partition(",")[0]


def _panels(holder: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Panels, those inside rows included."""
    for panel in holder.get("panels", ()):
        yield panel
        yield from _panels(panel)


def expanded(expression: str, values: Mapping[str, str]) -> str:
    """PromQL with every variable of Grafana replaced: those of time, and a dashboard's own, by name."""
    known = {**values, **TIMES}

    def value(match: re.Match[str]) -> str:
        return known.get(match[1] or match[2], match[0])

    return re.sub(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))", value, expression)


async def ask(prometheus: str, wanted: Sequence[Query]) -> list[Found]:
    """What a Prometheus answers to each query now."""
    async with aiohttp.ClientSession(prometheus) as session:
        return [await _ask(session, query) for query in wanted]


async def _ask(session: aiohttp.ClientSession, query: Query) -> Found:
    async with session.get("/api/v1/query", params={"query": query.expression}) as response:
        said = orjson.loads(await response.read())
    if response.status != OK:
        return Found(query=query, series=0, error=said.get("error", f"HTTP {response.status}"))
    return Found(query=query, series=len(said["data"]["result"]), error="")


def judged(found: Sequence[Found]) -> list[Check]:
    """One line per dashboard: how many of its queries found something, and which did not."""
    checks = []
    for title in dict.fromkeys(one.query.dashboard for one in found):
        own = [one for one in found if one.query.dashboard == title]
        without = [one for one in own if one.error or not one.series]
        names = "; ".join(f"{one.query.panel}: {one.error or 'nothing'}" for one in without)
        checks.append(
            Check(
                what=f"dashboard {title}: queries with data",
                target=f"{len(own)}",
                found=f"{len(own) - len(without)}" + (f" ({names})" if names else ""),
                met=not without,
            )
        )
    return checks
