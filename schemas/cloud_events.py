"""What CloudEvents 1.0 says of a record of `churn.alerts`, `churn.risk` or `churn.lifecycle`, wherever it goes.

The attributes alone: Kafka has them in headers `ce_...`, HTTP in headers `ce-...`; the data is the record's own JSON.
"""

from functools import lru_cache
from typing import Final, NamedTuple

from schemas.decisions import AlertRecord, LifecycleRecord, RiskRecord, happened
from schemas.instants import format_instant

SOURCE: Final = "/churnwatch"
"""Of all installations; one is `/churnwatch/` and its name."""
CONTENT_TYPE: Final = "application/json"
KAFKA_PREFIX: Final = "ce_"
"""Stands before the name of an attribute, which is then that of a header."""
KAFKA_CONTENT_TYPE: Final = "content-type"
_SEQUENCE_DIGITS: Final = 16
# What a tick decides is decided at one instant, and writing an instant is a third of all that is written here.
_in_words: Final = lru_cache(1_024)(format_instant)
_SEVERITY_NUMBERS: Final = {"info": "9", "warning": "13", "high": "17", "critical": "21"}
"""OpenTelemetry's INFO, WARN, ERROR and FATAL: the extension wants a number beside each word."""


class Attribute(NamedTuple):
    """What is said of an attribute to who reads it."""

    says: str
    always: bool = True
    """Whether every record has it."""


ATTRIBUTES: Final = {
    "specversion": Attribute("Always 1.0."),
    "id": Attribute(
        "Of an alert ALERT_ID/SEQUENCE, else risk/ or stage/ and CUSTOMER/AT_MS/SEQUENCE. The same record has the same one, "
        "whenever it is written: with `source` it is what a reader tells records apart by."
    ),
    "source": Attribute("/churnwatch/ and the installation: its prefix of topics without the point at the end."),
    "type": Attribute(
        "churnwatch.alert. and what happened (a state; noted, judged or assigned where the state stays), "
        "churnwatch.risk.scored, churnwatch.stage.entered."
    ),
    "time": Attribute("The record's `at_ms`: when it came to be so, by the time of events."),
    "subject": Attribute("The customer; of an alert about a feed, the feed."),
    "partitionkey": Attribute("The record's key: the alert, else the customer."),
    "sequence": Attribute("The record's `sequence` with zeros before it, 16 digits, so that it sorts as text."),
    "recordedtime": Attribute(
        "When it was decided: `decided_ms` of an alert; of the others `at_ms`, the only time that they have."
    ),
    "severitytext": Attribute("Of an alert: INFO, WARNING, HIGH or CRITICAL.", always=False),
    "severitynumber": Attribute("The same as OpenTelemetry counts: 9, 13, 17 or 21.", always=False),
    "traceparent": Attribute(
        "Trace Context of the source record that led to it, if that had one; what time led to has none.", always=False
    ),
}


def source_of(prefix: str) -> str:
    """Of an installation, by the prefix of its topics.

    >>> source_of("churn.")
    '/churnwatch/churn'
    """
    name = prefix.rstrip(".")
    return f"{SOURCE}/{name}" if name else SOURCE


def attributes_of(record: AlertRecord | RiskRecord | LifecycleRecord, source: str = SOURCE) -> dict[str, str]:
    """The attributes by name, those of extensions too; the same record has the same, however often it is written.

    `sequence` is text that sorts as its numbers do, which its extension asks for. A traceparent is no part of the record:
    who has one adds it.
    """
    match record:
        case AlertRecord():
            own = _of_alert(record)
        case RiskRecord():
            own = _of_customer(record, "churnwatch.risk.scored")
        case LifecycleRecord():
            own = _of_customer(record, "churnwatch.stage.entered")
    return {
        "specversion": "1.0",
        "id": event_id(record),
        "source": source,
        "time": _in_words(record.at_ms),
        "sequence": str(record.sequence).zfill(_SEQUENCE_DIGITS),
        **own,
    }


def event_id(record: AlertRecord | RiskRecord | LifecycleRecord) -> str:
    """What a record is told apart by: of an alert `<alert_id>/<sequence>`.

    A customer who was forgotten begins again at sequence 1, so the instant is part of the others.
    """
    match record:
        case AlertRecord():
            return f"{record.alert_id}/{record.sequence}"
        case RiskRecord():
            return f"risk/{record.customer_id}/{record.at_ms}/{record.sequence}"
        case LifecycleRecord():
            return f"stage/{record.customer_id}/{record.at_ms}/{record.sequence}"


def _of_alert(alert: AlertRecord) -> dict[str, str]:
    about = alert.customer_id or alert.feed
    return {
        "type": f"churnwatch.alert.{happened(alert)}",
        "partitionkey": alert.alert_id,
        "recordedtime": _in_words(alert.decided_ms),
        "severitytext": alert.severity.upper(),
        "severitynumber": _SEVERITY_NUMBERS[alert.severity],
        **({"subject": about} if about else {}),
    }


def _of_customer(record: RiskRecord | LifecycleRecord, what: str) -> dict[str, str]:
    return {
        "type": what,
        "subject": record.customer_id,
        "partitionkey": record.customer_id,
        "recordedtime": _in_words(record.at_ms),
    }
