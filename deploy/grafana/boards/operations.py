"""Operations: is it working, what is late, and why."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from boards.parts import HALF, QUARTER, THIRD, WHOLE, About, Query, chart, choice, listing, number, row, states, within
from boards.parts import board as new_board

_STATUS = (
    '1 * max by (feed) (churn_feed_status{status="live"}) + 2 * max by (feed) (churn_feed_status{status="lagging"})'
    ' + 3 * max by (feed) (churn_feed_status{status="silent"}) + 4 * max by (feed) (churn_feed_status{status="dead"})'
)


def board() -> Dashboard:
    """For whoever runs churnwatch."""
    made = new_board(
        "operations",
        "churnwatch: operations",
        "Is it working, what is late, and why.",
        since="now-6h",
        refresh="30s",
    ).with_variable(choice("topic", "Source", "churn_ingest_events_total"))
    for part in (_is_it_working, _sources, _log, _delivery, _processes):
        made = part(made)
    return made


def _is_it_working(made: Dashboard) -> Dashboard:
    return (
        made.with_row(row("Is it working?"))
        .with_panel(
            number(About("Workers that answer", "Processes whose metrics Prometheus could read."), 'sum(up{job="churnwatch"})')
        )
        .with_panel(
            number(
                About("Roles not ready", "Roles that do not do their work; /readyz of the worker says why."),
                "count(churn_ready == 0) or vector(0)",
                [(1, "red")],
            )
        )
        .with_panel(
            number(
                About("Feeds not live", "Feeds that are lagging, silent or dead: their rules stand still."),
                'count(max by (feed) (churn_feed_status{status!="live"} == 1)) or vector(0)',
                [(1, "orange")],
            )
        )
        .with_panel(
            number(
                About("Events a second", "Written to the log, over all sources.", "reqps"),
                "sum(rate(churn_ingest_events_total[$__rate_interval]))",
            )
        )
        .with_panel(
            number(
                About("Oldest mark", "How far the slowest feed is behind the last tick.", "s"),
                "max(churn_feed_mark_lag_seconds)",
                [(900, "orange"), (1_800, "red")],
            )
        )
        .with_panel(
            number(
                About("Dead letters in an hour", "Records that could not be used, from all stages."),
                "sum(increase(churn_dead_letters_total[1h])) or vector(0)",
                [(1, "orange"), (100, "red")],
            )
        )
    )


def _sources(made: Dashboard) -> Dashboard:
    return (
        made.with_row(row("What comes in?"))
        .with_panel(
            chart(
                About("Events by source", "Written to the log.", "reqps"),
                Query('sum by (topic) (rate(churn_ingest_events_total{topic=~"$topic"}[$__rate_interval]))', "{{topic}}"),
            )
        )
        .with_panel(
            states(
                About("Feeds", "The status of each feed: while it is not live, rules that need it wait."),
                Query(_STATUS, "{{feed}}"),
                {"1": ("live", "green"), "2": ("lagging", "yellow"), "3": ("silent", "orange"), "4": ("dead", "red")},
            )
        )
        .with_panel(
            chart(
                About("Still to be read", "Records of a source that ingest has not read yet."),
                Query('sum by (topic) (churn_source_behind_records{topic=~"$topic"})', "{{topic}}"),
                span=THIRD,
            )
        )
        .with_panel(
            chart(
                About("How late events come", "Age of the newest event of what was read last, when the broker had it.", "s"),
                Query('max by (topic) (churn_source_lateness_seconds{topic=~"$topic"})', "{{topic}}"),
                span=THIRD,
            )
        )
        .with_panel(
            chart(
                About("Age of the marks", "How far the mark of each feed is behind the last tick.", "s"),
                Query("max by (feed) (churn_feed_mark_lag_seconds)", "{{feed}}"),
                span=THIRD,
                limits=[(1_800, "red")],
            )
        )
        .with_panel(
            listing(
                About(
                    "Paused sources",
                    "Ingest does not read them until somebody does something.",
                ),
                Query("max by (topic, reason) (churn_source_paused) or vector(0)"),
                {"topic": "Source", "reason": "Reason", "Value": "Paused"},
            )
        )
        .with_panel(
            chart(
                About("Dead letters", "By who put them aside, and why.", "cpm"),
                Query("sum by (stage, reason) (rate(churn_dead_letters_total[$__rate_interval])) * 60", "{{stage}} {{reason}}"),
            )
        )
    )


def _log(made: Dashboard) -> Dashboard:
    return (
        made.with_row(row("Is the log worked off in time?"))
        .with_panel(
            chart(
                About("Behind", "Offsets between where a role is and the ends of its partitions."),
                Query("sum by (role) (churn_lag_records)", "{{role}}"),
            )
        )
        .with_panel(
            chart(
                About("From due to told", "From the instant that a timer was due to the commit of its alert.", "s"),
                *within("churn_alert_delay_seconds", 'cause="timer"'),
            )
        )
        .with_panel(
            chart(
                About("Records applied", "By detect, a second.", "reqps"),
                Query("sum(rate(churn_detect_records_total[$__rate_interval]))", "records"),
                span=QUARTER,
            )
        )
        .with_panel(
            chart(
                About("Transactions", "How long a transaction of detect takes.", "s"),
                *within("churn_transaction_duration_seconds"),
                span=QUARTER,
            )
        )
        .with_panel(
            chart(
                About("Not committed for", "How long no transaction of a partition went through; 0 if all is well.", "s"),
                Query("max by (partition) (churn_failing_seconds)", "partition {{partition}}"),
                span=QUARTER,
                limits=[(60, "red")],
            )
        )
        .with_panel(
            chart(
                About("State read back", "How much of a partition's state is here.", "percentunit"),
                Query("min by (partition) (churn_restore_progress_ratio)", "partition {{partition}}"),
                span=QUARTER,
            )
        )
    )


def _delivery(made: Dashboard) -> Dashboard:
    return (
        made.with_row(row("Does everybody hear of it?"))
        .with_panel(
            chart(
                About("Told", "What sinks took, was tried again, and was refused.", "reqps"),
                Query("sum by (sink, result) (rate(churn_deliveries_total[$__rate_interval]))", "{{sink}} {{result}}"),
                span=THIRD,
            )
        )
        .with_panel(
            chart(
                About("Not taken for", "How long a sink has taken nothing; 0 if all is well.", "s"),
                Query("max by (sink) (churn_delivery_failing_seconds)", "{{sink}}"),
                span=THIRD,
                limits=[(300, "red")],
            )
        )
        .with_panel(
            chart(
                About("Waiting", "Alerts that wait: for quiet hours to end, for a digest, or since a storm."),
                Query("sum by (sink, reason) (churn_delivery_waiting_alerts) or vector(0)", "{{sink}} {{reason}}"),
                span=THIRD,
            )
        )
    )


def _processes(made: Dashboard) -> Dashboard:
    return (
        made.with_row(row("What does it take?"))
        .with_panel(
            chart(
                About("Memory", "Resident memory of each worker.", "bytes"),
                Query('process_resident_memory_bytes{job="churnwatch"}', "{{instance}}"),
                span=HALF,
            )
        )
        .with_panel(
            chart(
                About("Processors", "Cores that each worker uses.", "none"),
                Query('rate(process_cpu_seconds_total{job="churnwatch"}[$__rate_interval])', "{{instance}}"),
                span=HALF,
            )
        )
        .with_panel(
            listing(
                About("Alerts of Prometheus", "What fires now; each has its section in RUNBOOK.md."),
                Query('ALERTS{alertname=~"Churnwatch.*"} or vector(0)'),
                {"alertname": "Alert", "alertstate": "State", "severity": "Severity", "Value": "Firing"},
                span=WHOLE,
            )
        )
    )
