"""Panels, variables and boards as all four have them: one look, one datasource, one colour for each arm everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models import heatmap as heatmap_models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="prometheus")
GREEN, AMBER, RED, GREY = "#56A64B", "#E0B400", "#E02F44", "#8E8E8E"
ARM_COLOURS = {
    "student|new|treatment": "#3274D9",
    "teacher|old|control": "#FF780A",
    "5xx|dropped|failed|error|refused": RED,
    "4xx|late|duplicate|unknown": AMBER,
}
"""What a series' name has as a word → its colour, whatever the panel."""
FULL, HALF, THIRD, QUARTER, SIXTH = 24, 12, 8, 6, 4
"""Widths, of 24 columns."""


class Query(NamedTuple):
    """One expression of a panel, and how its series are named."""

    expr: str
    legend: str


class Step(NamedTuple):
    """From `value` on, a panel is of this colour."""

    value: float | None
    colour: str


Steps = tuple[Step, ...]
Panel = timeseries.Panel | stat.Panel | heatmap.Panel | table.Panel
PLAIN = (Step(None, GREEN),)
LOW_IS_BAD = (Step(None, RED), Step(1, GREEN))
ANY_IS_BAD = (Step(None, GREEN), Step(1e-9, RED))


def above(amber: float, red: float) -> Steps:
    """Green below `amber`, red from `red` on."""
    return (Step(None, GREEN), Step(amber, AMBER), Step(red, RED))


def around(low: float, high: float) -> Steps:
    """Green from `low` to `high`, amber on both sides."""
    return (Step(None, AMBER), Step(low, GREEN), Step(high, AMBER))


def graph(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    width: int = THIRD,
    steps: Steps = (),
    stacked: bool = False,
    log: bool = False,
    bottom: float | None = 0,
    top: float | None = None,
) -> timeseries.Panel:
    """Lines over time; dashed lines at `steps`."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .span(width)
        .height(8)
        .line_width(2 if not stacked else 1)
        .fill_opacity(60 if stacked else 8)
        .show_points(common.VisibilityMode.NEVER)
        .span_nulls(60_000)  # a scrape that is missed now and then breaks no line
        .color_scheme(builders.FieldColor().mode(dashboard.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .tooltip(_tooltip())
        .legend(_legend())
    )
    if stacked:
        panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL))
    if log:
        panel.scale_distribution(common_builders.ScaleDistributionConfig().type(common.ScaleDistribution.LOG).log(10))
    if bottom is not None and not log:
        panel.min(bottom)
    if top is not None:
        panel.max(top)
    if steps:
        panel.thresholds(_thresholds(steps)).thresholds_style(
            common_builders.GraphThresholdsStyleConfig().mode(common.GraphTresholdsStyleMode.DASHED)
        )
    for words, colour in ARM_COLOURS.items():
        fixed = {"mode": "fixed", "fixedColor": colour}
        panel.override_by_regexp(rf"/\b({words})\b/", [dashboard.DynamicConfigValue("color", fixed)])
    for query in _targets(queries):
        panel.with_target(query)
    return panel


def figure(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    steps: Steps = PLAIN,
    width: int = SIXTH,
    decimals: int | None = None,
) -> stat.Panel:
    """The latest value, large, with its past as a sparkline behind it."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .span(width)
        .height(4)
        .graph_mode(common.BigValueGraphMode.AREA)
        .color_mode(common.BigValueColorMode.VALUE)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_scheme(builders.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS))
        .thresholds(_thresholds(steps))
    )
    if decimals is not None:
        panel.decimals(decimals)
    for query in _targets(queries):
        panel.with_target(query)
    return panel


def heat(title: str, description: str, unit: str, query: Query, *, width: int = HALF) -> heatmap.Panel:
    """A histogram over time; the query sums buckets by `le`."""
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .span(width)
        .height(8)
        .calculate(calculate=False)
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .cell_values(heatmap.CellValues().unit("short"))
        .rows_frame(heatmap.RowsHeatmapOptions().layout(common.HeatmapCellLayout.LE))
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmap_models.HeatmapColorMode.SCHEME)
            .scheme("Oranges")
            .scale(heatmap_models.HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .steps(64)
        )
        .show_y_histogram()
        .with_target(_target(query, "A").format(PromQueryFormat.HEATMAP))
    )


def rows_of(title: str, description: str, *queries: Query, hide: Sequence[str] = (), width: int = FULL) -> table.Panel:
    """A table of the latest values: labels as columns, one value column per query, named by its legend."""
    panel = table.Panel().title(title).description(description).datasource(SOURCE).span(width).height(6)
    panel.cell_height(common.TableCellHeight.SM)
    for ref_id, query in zip("ABCDEFG", queries, strict=False):
        panel.with_target(_target(query, ref_id).instant().format(PromQueryFormat.TABLE))
    names = {f"Value #{ref_id}": query.legend for ref_id, query in zip("ABCDEFG", queries, strict=False)}
    if len(queries) == 1:
        names = {"Value": queries[0].legend}
    left_out = dict.fromkeys(("Time", "__name__", *hide), True)
    panel.with_transformation(dashboard.DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(
        dashboard.DataTransformerConfig(
            id_val="organize", options={"excludeByName": left_out, "renameByName": names, "indexByName": {}}
        )
    )
    return panel


def variable(name: str, label: str, query: str, *, several: bool = True, first: str = "") -> builders.QueryVariable:
    """A choice among the values of a label, as `label_values(metric, label)` has them; `first` or all to begin with."""
    asked: dict[str, object] = {"query": query, "refId": "variable"}
    chosen = (
        builders.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(asked)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        .multi(several)
        .include_all(several)
    )
    if first:
        chosen.current(dashboard.VariableOption(selected=True, text=first, value=first))
    elif several:
        chosen.current(_ALL)
    return chosen.all_value(".*") if several else chosen


def row(made: builders.Dashboard, title: str, *panels: Panel) -> None:
    """Add a row and its panels, left to right."""
    made.with_row(builders.Row(title))
    for panel in panels:
        made.with_panel(panel)


def board(uid: str, title: str, description: str, variables: Sequence[builders.QueryVariable]) -> builders.Dashboard:
    """An empty board: the last half hour, refreshed every ten seconds, linked to the others."""
    made = (
        builders.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["ctr"])
        .readonly()
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .time("now-30m", "now")
        .refresh("10s")
        .timezone("browser")
        .link(
            builders.DashboardLink("Boards")
            .type(dashboard.DashboardLinkType.DASHBOARDS)
            .tags(["ctr"])
            .keep_time(keep_time=True)
            .include_vars(include_vars=True)
        )
        .annotation(_revisions())
        .annotation(_alerts())
    )
    for one in variables:
        made.with_variable(one)
    return made


_ALL = dashboard.VariableOption(selected=True, text="All", value="$__all")


def _revisions() -> builders.AnnotationQuery:
    expr = "changes(ctr_experiment_revision[1m]) > 0"
    return _marks("Revisions of the experiments", expr, "#8AB8FF")


def _alerts() -> builders.AnnotationQuery:
    return _marks("Alerts", 'ALERTS{alertstate="firing", severity="page"}', RED)


def _marks(name: str, expr: str, colour: str) -> builders.AnnotationQuery:
    return builders.AnnotationQuery().name(name).datasource(SOURCE).enable(enable=True).icon_color(colour).expr(expr)


def _targets(queries: Sequence[Query]) -> list[prometheus.Dataquery]:
    return [_target(query, ref_id) for ref_id, query in zip("ABCDEFGHIJ", queries, strict=False)]


def _target(query: Query, ref_id: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(ref_id).datasource(SOURCE).range()


def _thresholds(steps: Steps) -> builders.ThresholdsConfig:
    return (
        builders.ThresholdsConfig()
        .mode(dashboard.ThresholdsMode.ABSOLUTE)
        .steps([dashboard.Threshold(value=value, color=colour) for value, colour in steps])
    )


def _legend() -> common_builders.VizLegendOptions:
    """Names with their latest and largest value."""
    return (
        common_builders.VizLegendOptions()
        .show_legend(show_legend=True)
        .display_mode(common.LegendDisplayMode.TABLE)
        .placement(common.LegendPlacement.BOTTOM)
        .calcs(["lastNotNull", "max"])
    )


def _tooltip() -> common_builders.VizTooltipOptions:
    return common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
