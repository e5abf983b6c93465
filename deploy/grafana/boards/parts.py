"""What all dashboards are made of: panels with a unit and a sentence each, variables, and the frame around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.dashboard import (
    AnnotationQuery,
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    Row,
    ThresholdsConfig,
)
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
    VariableHide,
    VariableRefresh,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
RUNBOOK: Final = "RUNBOOK.md"
WHOLE: Final = 24
HALF: Final = 12
THIRD: Final = 8
QUARTER: Final = 6
SIXTH: Final = 4
_STAT_HEIGHT: Final = 4
_CHART_HEIGHT: Final = 8

Limits = Sequence[tuple[float, str]]
"""From which value on a panel has which colour; below the first it is green."""


@dataclass(frozen=True)
class Query:
    """A query, and what its lines are called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class About:
    """What a panel says: its title, one sentence that defines it, and the unit of its values."""

    title: str
    says: str
    unit: str = "short"


def within(histogram: str, match: str = "") -> tuple[Query, Query]:
    """Two lines: what half of the values, and 99 of 100, are at most."""
    by_bucket = f"sum by (le) (rate({histogram}_bucket{{{match}}}[$__rate_interval]))"
    return (
        Query(f"histogram_quantile(0.5, {by_bucket}) or vector(0)", "half of them within"),
        Query(f"histogram_quantile(0.99, {by_bucket}) or vector(0)", "99 of 100 within"),
    )


def number(about: About, expr: str, limits: Limits = (), span: int = SIXTH, decimals: int | None = None) -> stat.Panel:
    """One number, as it is now."""
    panel = (
        stat.Panel()
        .title(about.title)
        .description(about.says)
        .unit(about.unit)
        .datasource(DATASOURCE)
        .height(_STAT_HEIGHT)
        .span(span)
        .graph_mode(common.BigValueGraphMode.AREA)
        .color_mode(common.BigValueColorMode.VALUE)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(_thresholds(limits))
        .with_target(prometheus.Dataquery().expr(expr).ref_id("A").legend_format(about.title))
    )
    return panel if decimals is None else panel.decimals(decimals)


def chart(about: About, *queries: Query, span: int = HALF, stacked: bool = False, limits: Limits = ()) -> timeseries.Panel:
    """Lines over time."""
    panel = (
        timeseries.Panel()
        .title(about.title)
        .description(about.says)
        .unit(about.unit)
        .datasource(DATASOURCE)
        .height(_CHART_HEIGHT)
        .span(span)
        .min(0)
        .fill_opacity(60 if stacked else 8)
        .line_width(1)
        .show_points(common.VisibilityMode.NEVER)
        .thresholds(_thresholds(limits))
        .legend(
            common_builders.VizLegendOptions()
            .show_legend(True)
            .display_mode(common.LegendDisplayMode.TABLE)
            .placement(common.LegendPlacement.BOTTOM)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING))
    )
    if stacked:
        panel = panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL))
    if limits:
        panel = panel.thresholds_style(
            common_builders.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        )
    for place, query in enumerate(queries):
        panel = panel.with_target(
            prometheus.Dataquery().expr(query.expr).ref_id(chr(ord("A") + place)).legend_format(query.legend)
        )
    return panel


def states(about: About, query: Query, texts: dict[str, tuple[str, str]], span: int = HALF) -> statetimeline.Panel:
    """What something was over time; `texts` gives each value a text and a colour."""
    mapped: list[ValueMapping] = [
        ValueMap(options={value: ValueMappingResult(text=text, color=color) for value, (text, color) in texts.items()})
    ]
    return (
        statetimeline.Panel()
        .title(about.title)
        .description(about.says)
        .unit(about.unit)
        .datasource(DATASOURCE)
        .height(_CHART_HEIGHT)
        .span(span)
        .mappings(mapped)
        .with_target(prometheus.Dataquery().expr(query.expr).ref_id("A").legend_format(query.legend))
    )


def listing(about: About, query: Query, columns: dict[str, str], span: int = HALF) -> table.Panel:
    """A table of what is now; `columns` gives each label, and `Value`, the heading that people read."""
    hidden = {"Time": True, "__name__": True, "instance": True, "job": True, "service": True}
    organised = {"excludeByName": hidden, "renameByName": columns}
    return (
        table.Panel()
        .title(about.title)
        .description(about.says)
        .unit(about.unit)
        .datasource(DATASOURCE)
        .height(_CHART_HEIGHT)
        .span(span)
        .with_target(
            prometheus.Dataquery()
            .expr(query.expr)
            .ref_id("A")
            .instant()
            .format(PromQueryFormat.TABLE)
            .legend_format(query.legend)
        )
        .with_transformation(DataTransformerConfig(id_val="organize", options=organised))
    )


def row(question: str) -> Row:
    """A part of a dashboard: the question that it answers."""
    return Row(question)


def board(uid: str, title: str, says: str, *, since: str, refresh: str) -> Dashboard:
    """A dashboard without panels yet: its data source, links to the others, alerts as annotations."""
    return (
        Dashboard(title)
        .uid(f"churnwatch-{uid}")
        .description(says)
        .tags(["churnwatch"])
        .time(since, "now")
        .refresh(refresh)
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(
            DashboardLink("churnwatch")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["churnwatch"])
            .as_dropdown(False)
            .include_vars(True)
            .keep_time(True)
        )
        .annotation(
            AnnotationQuery()
            .name("Alerts of Prometheus")
            .datasource(DATASOURCE)
            .enable(True)
            .icon_color("red")
            .expr('ALERTS{alertname=~"Churnwatch.*", alertstate="firing"}')
        )
        .with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )


def choice(name: str, label: str, metric: str) -> QueryVariable:
    """A variable with the values of a label, all of them by default."""
    return (
        QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(f"label_values({metric}, {name})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .hide(VariableHide.DONT_HIDE)
    )


def _thresholds(limits: Limits) -> ThresholdsConfig:
    steps = [Threshold(value=None, color="green"), *(Threshold(value=value, color=color) for value, color in limits)]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
