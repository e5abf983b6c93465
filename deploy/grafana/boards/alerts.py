"""Alerts and SLA: what is open, what is new, who answers in time, and which rules cry wolf."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from boards.parts import HALF, QUARTER, THIRD, About, Query, chart, choice, listing, number, row, within
from boards.parts import board as new_board


def board() -> Dashboard:
    """For the teams who work on alerts."""
    made = new_board(
        "alerts",
        "churnwatch: alerts and SLA",
        "What is open, what is new, who answers in time, and which rules cry wolf.",
        since="now-7d",
        refresh="1m",
    ).with_variable(choice("rule", "Rule", "churn_alerts_total"))
    for part in (_now, _new, _sla, _quality):
        made = part(made)
    return made


def _now(made: Dashboard) -> Dashboard:
    return (
        made.with_row(row("What waits for somebody?"))
        .with_panel(
            number(
                About("Open alerts", "Alerts that are not over."),
                'sum(churn_open_alerts{rule=~"$rule"}) or vector(0)',
                span=QUARTER,
            )
        )
        .with_panel(
            number(
                About("Nobody took them", "Alerts that were escalated: nobody acknowledged them in time."),
                'sum(churn_open_alerts{rule=~"$rule", state="escalated"}) or vector(0)',
                [(1, "orange"), (20, "red")],
                span=QUARTER,
            )
        )
        .with_panel(
            number(
                About("In work", "Alerts that somebody acknowledged."),
                'sum(churn_open_alerts{rule=~"$rule", state="acked"}) or vector(0)',
                span=QUARTER,
            )
        )
        .with_panel(
            number(
                About("Held back", "Alerts that wait for quiet hours to end, for a digest, or since a storm."),
                "sum(churn_delivery_waiting_alerts) or vector(0)",
                span=QUARTER,
            )
        )
        .with_panel(
            chart(
                About("Open alerts by rule", "Alerts that are not over."),
                Query('sum by (rule) (churn_open_alerts{rule=~"$rule"})', "{{rule}}"),
                stacked=True,
            )
        )
        .with_panel(
            listing(
                About("Open alerts by rule and state", "Alerts that are not over, as they stand now."),
                Query('sum by (rule, state) (churn_open_alerts{rule=~"$rule"})'),
                {"rule": "Rule", "state": "State", "Value": "Alerts"},
            )
        )
    )


def _new(made: Dashboard) -> Dashboard:
    return (
        made.with_row(row("What is new?"))
        .with_panel(
            chart(
                About("Opened in an hour", "Alerts that opened, by rule; a storm shows as a peak."),
                Query('sum by (rule) (increase(churn_alerts_total{rule=~"$rule", state="opened"}[1h]))', "{{rule}}"),
            )
        )
        .with_panel(
            chart(
                About("How alerts end", "Alerts that were over, by how: resolved, retracted (it was wrong), expired."),
                Query(
                    'sum by (state) (increase(churn_alerts_total{rule=~"$rule", state=~"resolved|retracted|expired"}[1h]))'
                    " or vector(0)",
                    "{{state}}",
                ),
            )
        )
    )


def _sla(made: Dashboard) -> Dashboard:
    return (
        made.with_row(row("Do we answer in time?"))
        .with_panel(
            number(
                About(
                    "In time, 7 days",
                    "1 less breached targets over opened tickets; a ticket with two targets can breach both.",
                    "percentunit",
                ),
                "clamp_min(1 - (sum(increase(churn_sla_breaches_total[7d])) or vector(0))"
                " / (sum(increase(churn_tickets_total[7d])) > 0), 0) or vector(1)",
                span=QUARTER,
                decimals=1,
            )
        )
        .with_panel(
            chart(
                About(
                    "Tickets and breaches in a day",
                    "Opened tickets, and targets that were reached before the answer.",
                ),
                Query("sum(increase(churn_tickets_total[1d])) or vector(0)", "tickets"),
                Query("sum(increase(churn_sla_breaches_total[1d])) or vector(0)", "breaches"),
                span=HALF + QUARTER,
            )
        )
    )


def _quality(made: Dashboard) -> Dashboard:
    return (
        made.with_row(row("Which rules cry wolf?"))
        .with_panel(
            chart(
                About(
                    "Precision of rules, 28 days",
                    "Of what people judged: the share of true_alarm and saved. No line: nobody judged.",
                    "percentunit",
                ),
                Query(
                    'sum by (rule) (increase(churn_alert_verdicts_total{rule=~"$rule", verdict=~"true_alarm|saved"}[28d]))'
                    ' / sum by (rule) (increase(churn_alert_verdicts_total{rule=~"$rule"}[28d]))',
                    "{{rule}}",
                ),
                span=THIRD,
            )
        )
        .with_panel(
            chart(
                About("Judgements in a day", "What people said of alerts."),
                Query('sum by (verdict) (increase(churn_alert_verdicts_total{rule=~"$rule"}[1d]))', "{{verdict}}"),
                span=THIRD,
                stacked=True,
            )
        )
        .with_panel(
            chart(
                About(
                    "From event to told",
                    "From the event that an alert rests on to its commit; late events are in it.",
                    "s",
                ),
                *within("churn_alert_delay_seconds", 'cause="event"'),
                span=THIRD,
            )
        )
    )
