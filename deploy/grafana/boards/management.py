"""Management: what it comes to, by tier, stage and month. Each number is defined in one line."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from boards.parts import HALF, SIXTH, THIRD, WHOLE, About, Query, chart, choice, listing, number, row
from boards.parts import board as new_board

_TIER = 'tier=~"$tier"'
_HERE = f'sum by (tier) (churn_customers{{stage!="churned", {_TIER}}})'
_LEFT = f'sum by (tier) (increase(churn_stage_changes_total{{stage="churned", {_TIER}}}[30d]))'
_ORDERS = f"sum by (tier) (increase(churn_orders_total{{{_TIER}}}[30d]))"
_REPEATS = f'sum by (tier) (increase(churn_orders_total{{kind="repeat", {_TIER}}}[30d]))'
_TICKETS = f"sum by (tier) (increase(churn_tickets_total{{{_TIER}}}[30d]))"
_BREACHES = f"sum by (tier) (increase(churn_sla_breaches_total{{{_TIER}}}[30d]))"
_SAVED = f'sum by (tier) (increase(churn_alert_verdicts_total{{verdict="saved", {_TIER}}}[30d]))'
_WARNED = f'sum by (tier) (increase(churn_stage_changes_total{{stage="churned", warned="yes", {_TIER}}}[30d]))'

CHURN = About(
    "Churn rate",
    "Customers who came into the stage churned within 30 days, over those who are not churned now and those who left.",
    "percentunit",
)
REPURCHASE = About("Repurchase rate", "Orders within 30 days that were not a customer's first, over all orders.", "percentunit")
FOLLOW_UP = About("Timely follow-up", "1 less breached targets of tickets over opened tickets, within 30 days.", "percentunit")
SAVED = About("Saved", "Alerts that people judged as saved, within 30 days.")
WARNED = About(
    "Warned before churn",
    "Of those who left within 30 days: the share with an alert that was open, or was within 30 days before.",
    "percentunit",
)


def _churn(by: str) -> str:
    left, here = f"sum{by}({_LEFT})", f"sum{by}({_HERE})"
    return f"{left} / ({left} + {here})"


def _share(part: str, whole: str, by: str) -> str:
    """Of nothing a share of 0 is said, so that a line does not end."""
    return f"sum{by}({part}) / (sum{by}({whole}) > 0)"


def _timely(by: str) -> str:
    return f"clamp_min(1 - (sum{by}({_BREACHES}) or 0 * sum{by}({_TICKETS})) / (sum{by}({_TICKETS}) > 0), 0)"


def board() -> Dashboard:
    """For those who run the shop."""
    made = new_board(
        "management",
        "churnwatch: management",
        "What it comes to, by tier, stage and month.",
        since="now-180d",
        refresh="1h",
    ).with_variable(choice("tier", "Tier", "churn_customers"))
    for part in (_this_month, _by_tier, _stages):
        made = part(made)
    return made


def _this_month(made: Dashboard) -> Dashboard:
    return (
        made.with_row(row("How were the last 30 days?"))
        .with_panel(number(CHURN, f"{_churn(' ')} or vector(0)", decimals=1))
        .with_panel(number(REPURCHASE, f"{_share(_REPEATS, _ORDERS, ' ')} or vector(0)", decimals=1))
        .with_panel(number(FOLLOW_UP, f"{_timely(' ')} or vector(1)", decimals=1))
        .with_panel(number(SAVED, f"sum({_SAVED}) or vector(0)", decimals=0))
        .with_panel(number(WARNED, f"{_share(_WARNED, _LEFT, ' ')} or vector(0)", decimals=0))
        .with_panel(
            number(
                About("Customers", "Customers who are not churned."),
                f"sum({_HERE}) or vector(0)",
                span=SIXTH,
            )
        )
    )


def _by_tier(made: Dashboard) -> Dashboard:
    by = " by (tier) "
    return (
        made.with_row(row("By tier, a month at a time"))
        .with_panel(chart(CHURN, Query(_churn(by), "{{tier}}"), span=THIRD))
        .with_panel(chart(REPURCHASE, Query(_share(_REPEATS, _ORDERS, by), "{{tier}}"), span=THIRD))
        .with_panel(chart(FOLLOW_UP, Query(_timely(by), "{{tier}}"), span=THIRD))
        .with_panel(chart(SAVED, Query(f"sum by (tier) ({_SAVED}) or vector(0)", "{{tier}}"), span=HALF))
        .with_panel(chart(WARNED, Query(f"{_share(_WARNED, _LEFT, by)} or vector(0)", "{{tier}}"), span=HALF))
    )


def _stages(made: Dashboard) -> Dashboard:
    return (
        made.with_row(row("By stage"))
        .with_panel(
            chart(
                About("Customers by stage", "As they stand."),
                Query(f"sum by (stage) (churn_customers{{{_TIER}}})", "{{stage}}"),
                span=HALF,
                stacked=True,
            )
        )
        .with_panel(
            chart(
                About("Into a stage, within 30 days", "Customers who came into each stage."),
                Query(f"sum by (stage) (increase(churn_stage_changes_total{{{_TIER}}}[30d]))", "{{stage}}"),
                span=HALF,
            )
        )
        .with_panel(
            listing(
                About("Into a stage by tier, within 30 days", "Customers who came into each stage, as of now."),
                Query(f"sum by (tier, stage) (increase(churn_stage_changes_total{{{_TIER}}}[30d]))"),
                {"tier": "Tier", "stage": "Stage", "Value": "Customers"},
                span=WHOLE,
            )
        )
    )
