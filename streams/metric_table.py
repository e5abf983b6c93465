"""Every metric there is: its name, kind, labels and what it says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

MetricName = Literal[
    "churn_ingest_events_total",
    "churn_ingest_clamped_events_total",
    "churn_ingest_heartbeats_total",
    "churn_source_paused",
    "churn_source_behind_records",
    "churn_source_eta_seconds",
    "churn_source_lateness_seconds",
    "churn_dead_letters_total",
    "churn_detect_records_total",
    "churn_transaction_duration_seconds",
    "churn_restored_records_total",
    "churn_restore_duration_seconds",
    "churn_restore_progress_ratio",
    "churn_restore_eta_seconds",
    "churn_failing_seconds",
    "churn_refused_partitions",
    "churn_lost_partitions_total",
    "churn_seeks_back_total",
    "churn_alerts_total",
    "churn_alert_delay_seconds",
    "churn_open_alerts",
    "churn_alert_verdicts_total",
    "churn_sla_breaches_total",
    "churn_customers",
    "churn_stage_changes_total",
    "churn_orders_total",
    "churn_tickets_total",
    "churn_timers",
    "churn_erasures_total",
    "churn_ticks_total",
    "churn_documents_published_total",
    "churn_feed_mark_lag_seconds",
    "churn_feed_status",
    "churn_learn_examples_total",
    "churn_learn_refused_examples_total",
    "churn_model_log_loss",
    "churn_model_base_log_loss",
    "churn_model_auc",
    "churn_model_brier_ratio",
    "churn_model_calibration_error_ratio",
    "churn_model_active_auc",
    "churn_model_silence_auc",
    "churn_model_alarm",
    "churn_model_held_back_examples_total",
    "churn_model_recipe",
    "churn_model_usable",
    "churn_model_held",
    "churn_deliveries_total",
    "churn_delivery_failing_seconds",
    "churn_store_moves_total",
    "churn_delivery_behind_records",
    "churn_delivery_waiting_alerts",
    "churn_template_errors_total",
    "churn_door_requests_total",
    "churn_door_taken_bytes_total",
    "churn_door_acknowledge_duration_seconds",
    "churn_door_under_way_requests",
    "churn_door_under_way_bytes",
    "churn_build_info",
    "churn_ready",
    "churn_position_offset",
    "churn_lag_records",
]


@dataclass(frozen=True)
class Form:
    """How a metric is exposed."""

    kind: Literal["counter", "gauge", "summary", "histogram"]
    labels: tuple[str, ...]
    help: str


METRICS: Final[Mapping[MetricName, Form]] = {
    "churn_ingest_events_total": Form("counter", ("topic",), "Events written to the log, by source topic."),
    "churn_ingest_clamped_events_total": Form(
        "counter", ("topic",), "Events a little ahead of the broker that got the time of their record."
    ),
    "churn_ingest_heartbeats_total": Form("counter", (), "Reports of ingest about source partitions."),
    "churn_source_paused": Form(
        "gauge", ("topic", "reason"), "1 while ingest does not read a source until somebody does something."
    ),
    "churn_source_behind_records": Form("gauge", ("topic",), "Records of a source that this worker has still to read."),
    "churn_source_eta_seconds": Form(
        "gauge", ("topic",), "How long that will take if it goes on as of late; no value while it does not get less."
    ),
    "churn_source_lateness_seconds": Form(
        "gauge", ("topic",), "How old the newest event of what was read last was when the broker had it."
    ),
    "churn_dead_letters_total": Form("counter", ("stage", "reason"), "Records put aside, by who did it and why."),
    "churn_detect_records_total": Form("counter", (), "Records of the log that were applied."),
    "churn_transaction_duration_seconds": Form("histogram", (), "Transactions of detect, and how long they took."),
    "churn_restored_records_total": Form("counter", (), "Records of state read back when partitions were taken over."),
    "churn_restore_duration_seconds": Form("summary", (), "Restores of partitions, and how long they took."),
    "churn_restore_progress_ratio": Form("gauge", ("partition",), "How much of a partition's state is read, from 0 to 1."),
    "churn_restore_eta_seconds": Form("gauge", ("partition",), "How long a restore at work will still take, about."),
    "churn_failing_seconds": Form(
        "gauge", ("partition",), "For how long no transaction of a partition went through; 0 if all is well."
    ),
    "churn_refused_partitions": Form("gauge", (), "Partitions whose state cannot be used; they stand still."),
    "churn_lost_partitions_total": Form("counter", (), "Partitions that another process took, or whose commit failed."),
    "churn_seeks_back_total": Form("counter", (), "Times that detect went back for records it had not seen."),
    "churn_alerts_total": Form("counter", ("rule", "state"), "Transitions of alerts that were committed."),
    "churn_alert_delay_seconds": Form(
        "histogram",
        ("cause",),
        "From the instant that an opening is about to its commit: when a `timer` was due, or when an `event` happened.",
    ),
    "churn_open_alerts": Form(
        "gauge", ("rule", "state"), "Alerts that are open; `escalated`: nobody acknowledged them in time."
    ),
    "churn_alert_verdicts_total": Form(
        "counter",
        ("rule", "tier", "verdict"),
        "Judgements of people; true_alarm and saved over all of them is a rule's precision.",
    ),
    "churn_sla_breaches_total": Form("counter", ("tier",), "Targets of tickets that were reached before the answer."),
    "churn_customers": Form("gauge", ("stage", "tier"), "Customers by stage and tier."),
    "churn_stage_changes_total": Form(
        "counter",
        ("stage", "tier", "warned"),
        "Customers who came into a stage; of `churned`: whether an alert was open, or was within 30 days before.",
    ),
    "churn_orders_total": Form("counter", ("tier", "kind"), "Orders: a customer's `first`, or a `repeat`."),
    "churn_tickets_total": Form("counter", ("tier",), "Tickets that were opened."),
    "churn_timers": Form("gauge", (), "Wake-ups of customers that are noted, with those that have moved since."),
    "churn_erasures_total": Form("counter", (), "Customers who were erased."),
    "churn_ticks_total": Form("counter", (), "Ticks written by the clock."),
    "churn_documents_published_total": Form("counter", (), "Rule sets, calendars and models copied into the log."),
    "churn_feed_mark_lag_seconds": Form("gauge", ("feed",), "How far the mark of a feed is behind the last tick."),
    "churn_feed_status": Form("gauge", ("feed", "status"), "1 for the status that a feed has, 0 for the others."),
    "churn_learn_examples_total": Form("counter", (), "Matured examples that the model learned from."),
    "churn_learn_refused_examples_total": Form("counter", (), "Examples that were not learned: of no use, or held back."),
    "churn_model_log_loss": Form("gauge", (), "Log loss of the model on examples it had not seen."),
    "churn_model_base_log_loss": Form("gauge", (), "Log loss of always saying the base rate; a model must be below it."),
    "churn_model_auc": Form("gauge", (), "Area under the ROC curve on examples that the model had not seen."),
    "churn_model_brier_ratio": Form("gauge", (), "Mean squared error of the model's probabilities, 0 to 1."),
    "churn_model_calibration_error_ratio": Form(
        "gauge", (), "Mean distance between the probabilities that were said and the shares that came, 0 to 1."
    ),
    "churn_model_active_auc": Form("gauge", (), "As `churn_model_auc`, of those who showed a sign of life within the horizon."),
    "churn_model_silence_auc": Form("gauge", (), "What ranking the same customers by days of silence would have been worth."),
    "churn_model_alarm": Form("gauge", ("alarm",), "1 while `log_loss_drift` or `labels_missing` stands, else 0."),
    "churn_model_held_back_examples_total": Form("counter", (), "Examples that were not learned since labels were missing."),
    "churn_model_recipe": Form("gauge", ("recipe",), "1 for the recipe whose weights predict, 0 for the one in the shadow."),
    "churn_model_usable": Form("gauge", (), "1 if what was learned may decide, 0 if rules alone do."),
    "churn_model_held": Form(
        "gauge", (), "1 if people held an older model in force (`churnwatch model rollback`) at the last snapshot."
    ),
    "churn_deliveries_total": Form(
        "counter",
        ("sink", "result"),
        "What became of records and messages: `sent`, `retried` (kept, and tried again), `refused` (a dead letter).",
    ),
    "churn_delivery_failing_seconds": Form("gauge", ("sink",), "For how long a sink has taken nothing; 0 if all is well."),
    "churn_store_moves_total": Form(
        "counter", ("sink",), "Times that a store had lost what it was told (emptied, an older copy) and was told again."
    ),
    "churn_delivery_behind_records": Form("gauge", ("sink",), "Records of `churn.alerts` that a recipient is behind."),
    "churn_delivery_waiting_alerts": Form(
        "gauge", ("sink", "reason"), "Alerts that wait for `quiet` hours to end, for a `digest`, or since a `storm`."
    ),
    "churn_template_errors_total": Form(
        "counter", ("sink", "template"), "Messages that went out in plain words, since their template failed."
    ),
    "churn_door_requests_total": Form("counter", ("source", "status"), "Webhooks by the status of their answer."),
    "churn_door_taken_bytes_total": Form("counter", ("source",), "Bytes of webhooks that were acknowledged."),
    "churn_door_acknowledge_duration_seconds": Form(
        "summary", ("source",), "Webhooks that were acknowledged, and how long that took."
    ),
    "churn_door_under_way_requests": Form("gauge", (), "Webhooks that are being taken."),
    "churn_door_under_way_bytes": Form("gauge", (), "Memory that is kept for them; `CHURN_DOOR_MAX_BYTES` is the limit."),
    "churn_build_info": Form("gauge", ("version", "engine"), "1; which release runs, and which version of the engine."),
    "churn_ready": Form("gauge", ("role",), "1 if a role does its work, 0 if /readyz says why not."),
    "churn_position_offset": Form("gauge", ("role", "topic", "partition"), "Next offset that a role works on."),
    "churn_lag_records": Form("gauge", ("role", "topic", "partition"), "Offsets between there and the partition's end."),
}


def table_rows() -> list[str]:
    """The rows of the table of metrics in the README."""
    return [
        f"| `{name}` | {form.kind} | {', '.join(f'`{label}`' for label in form.labels) or '-'} | {form.help} |"
        for name, form in METRICS.items()
    ]
