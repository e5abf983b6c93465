"""What people do with alerts and customers, from the command line: an event into `churn.actions`, acknowledged."""

import asyncio
import uuid
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec

from detectors.told import OPEN_STATES
from schemas.codec import convert_record, encode
from schemas.events import AnyEvent, Verdict
from schemas.instants import format_instant
from streams.alert_lookup import in_topics
from streams.log_writer import write_once
from streams.settings import Settings
from streams.topic_tail import last_ticks
from streams.topics import partition_count
from streams.transactions import Place, Row
from streams.wallclock import now_ms

NAMESPACE: Final = uuid.UUID("4b1f6c0e-7a0d-5d52-9f0b-1c0f3f6d2a77")
"""Of the ids of actions."""
_OF_OPEN_ALERTS: Final = frozenset({"alert.acked", "alert.snoozed", "alert.assigned"})
"""What makes no sense before an alert is open and after; a remark or a verdict does."""

_STILL: Final = "only `note` and `judge` are for alerts that are not open"


class ActionRefused(RuntimeError):  # noqa: N818 - what became of the action
    """Nothing was sent; the message says why."""


@dataclass(frozen=True)
class Sent:
    """An event that all in-sync replicas of `churn.actions` have."""

    event: AnyEvent
    topic: str

    def as_json(self) -> dict[str, Any]:
        """For machines: the event, and where it went."""
        return {"topic": self.topic, "event": msgspec.to_builtins(self.event)}

    def __str__(self) -> str:
        plain = msgspec.to_builtins(self.event)
        details = [f"{name} {format_instant(value) if name.endswith('_ms') else value}" for name, value in plain.items()]
        return f"sent to {self.topic}: {', '.join(details)}"


class Desk:
    """Sends what one person does.

    Every method looks the alert up first, and returns when the event is acknowledged.

    Args:
        settings: broker and topics.
        by: who it is.
        identity: id of the event, where the same thing may be asked for again; None: it is made of the content.

    Raises:
        AlertNotFound: (every method) no alert has this id, or several ids begin so.
        ActionRefused: (every method) the alert is not one to do this with.
        ContractError: (every method) a value breaks the contract of events.
        aiokafka.errors.KafkaError: (every method) the broker does not answer.
    """

    def __init__(self, settings: Settings, by: str, identity: str | None = None) -> None:
        self._settings = settings
        self._by = by
        self._identity = identity

    def ack(self, alert_id: str) -> Sent:
        """Take care of an alert: it is not escalated any more."""
        return self._act("alert.acked", alert_id)

    def snooze(self, alert_id: str, *, until_ms: int | None = None, for_ms: int = 0) -> Sent:
        """Put an alert off until an instant, or for so long from now."""
        at_ms = time_of(self._settings)
        end_ms = at_ms + for_ms if until_ms is None else until_ms
        if end_ms <= at_ms:
            raise ActionRefused(f"it is {format_instant(at_ms)}: an alert is put off until later, not {format_instant(end_ms)}")
        return self._act("alert.snoozed", alert_id, at_ms=at_ms, until_ms=end_ms)

    def assign(self, alert_id: str, to: str) -> Sent:
        """Give an alert to somebody."""
        return self._act("alert.assigned", alert_id, to=to)

    def note(self, alert_id: str, text: str) -> Sent:
        """Remark on an alert, also on a closed one."""
        return self._act("alert.noted", alert_id, text=text)

    def judge(self, alert_id: str, verdict: Verdict) -> Sent:
        """Say whether an alert, also a closed one, was right, and helped."""
        return self._act("alert.judged", alert_id, verdict=verdict)

    def erase(self, customer_id: str) -> Sent:
        """Have a customer forgotten; not looked up, since there may be no alert of the customer, nor any other record."""
        return self._send({"type": "customer.erased", "customer_id": customer_id})

    def _act(self, event_type: str, alert_id: str, **fields: str | int) -> Sent:
        alert = in_topics(self._settings, alert_id, ("alerts",))[-1]
        if alert.customer_id is None:
            raise ActionRefused(f"alert {alert.alert_id} is about the feed {alert.feed}: it closes when the feed is live again")
        if event_type in _OF_OPEN_ALERTS and alert.state not in OPEN_STATES:
            raise ActionRefused(f"alert {alert.alert_id} is {alert.state} since {format_instant(alert.at_ms)}: {_STILL}")
        about = {"customer_id": alert.customer_id, "alert_id": alert.alert_id, "by": self._by}
        return self._send({"type": event_type, **about, **fields})

    def _send(self, plain: dict[str, Any]) -> Sent:
        plain = {"at_ms": time_of(self._settings), **plain}
        # The same thing done twice within a millisecond was done once.
        identity = self._identity or str(uuid.uuid5(NAMESPACE, msgspec.json.encode(plain).decode()))
        event = cast("AnyEvent", convert_record({**plain, "id": identity}))
        topic = self._settings.topic("actions")
        if partition_count(self._settings, topic) is None:
            raise ActionRefused(f"the topic {topic} does not exist: `churnwatch topics` creates it")
        row = Row(event.customer_id.encode(), encode(event))
        asyncio.run(write_once(self._settings, {Place(topic, 0): [row]}))
        return Sent(event, topic)


def time_of(settings: Settings) -> int:
    """The machine's time; while time follows the events, that of the last tick, for a snooze ends by the same clock."""
    if settings.clock == "broker":
        return now_ms()
    return max((tick.at_ms for tick in asyncio.run(last_ticks(settings))), default=now_ms())
