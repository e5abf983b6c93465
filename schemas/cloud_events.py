"""What CloudEvents 1.0 says of a record of `churn.alerts`, `churn.risk` or `churn.lifecycle`, wherever it goes.

The attributes alone: Kafka has them in headers `ce_...`, HTTP in headers `ce-...`; the data is the record's own JSON.
"""

from typing import Final

from schemas.decisions import AlertRecord, LifecycleRecord, RiskRecord
from schemas.instants import format_instant

SOURCE: Final = "/churnwatch"
CONTENT_TYPE: Final = "application/json"
_SEQUENCE_DIGITS: Final = 16


def attributes_of(record: AlertRecord | RiskRecord | LifecycleRecord) -> dict[str, str]:
    """The attributes by name, those of extensions too; the same record has the same, however often it is written.

    `sequence` is text that sorts as its numbers do, which its extension asks for.
    """
    return {
        "specversion": "1.0",
        "id": event_id(record),
        "source": SOURCE,
        "type": _type_of(record),
        "time": format_instant(record.at_ms),
        "subject": record.customer_id or _feed_of(record),
        "partitionkey": record.alert_id if isinstance(record, AlertRecord) else record.customer_id,
        "sequence": str(record.sequence).zfill(_SEQUENCE_DIGITS),
        "recordedtime": format_instant(record.decided_ms if isinstance(record, AlertRecord) else record.at_ms),
        **({"severitytext": record.severity} if isinstance(record, AlertRecord) else {}),
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


def _type_of(record: AlertRecord | RiskRecord | LifecycleRecord) -> str:
    match record:
        case AlertRecord():
            return f"churnwatch.alert.{record.state}"
        case RiskRecord():
            return "churnwatch.risk.scored"
        case LifecycleRecord():
            return "churnwatch.stage.entered"


def _feed_of(record: AlertRecord | RiskRecord | LifecycleRecord) -> str:
    return (record.feed or "") if isinstance(record, AlertRecord) else ""
