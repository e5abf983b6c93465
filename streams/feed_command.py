"""`churnwatch feed confirm` and `feed gap`: what people know about the silence of a feed, into `churn.control`.

The clock copies it to every partition of the log, as it does with documents, so every partition decides by it.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiokafka.structs import TopicPartition

from detectors.told import OPEN_STATES
from schemas.codec import decode_decision, encode
from schemas.control import FeedConfirmed, FeedGap, FeedSpan
from schemas.decisions import AlertRecord
from schemas.instants import DAY_MS, format_instant
from streams.actions import time_of
from streams.log_writer import write_once
from streams.rules_command import RulesNotFound, show
from streams.settings import Settings
from streams.sources import load_sources, topics_by_feed
from streams.topic_tail import read_through, reader
from streams.topics import partition_count
from streams.transactions import Place, Row

CONFIRMED_FOR_MS: Final = DAY_MS
"""How long a feed is taken at its word, unless somebody says until when it is closed."""


class FeedRefused(RuntimeError):  # noqa: N818 - what became of the order
    """Nothing was sent; the message says why."""


@dataclass(frozen=True)
class SpanSent:
    """What all in-sync replicas of `churn.control` have."""

    span: FeedSpan
    topic: str

    def as_json(self) -> dict[str, Any]:
        """For machines: the record, and where it went."""
        return {"topic": self.topic, "record": msgspec.to_builtins(self.span)}

    def __str__(self) -> str:
        span = f"{format_instant(self.span.from_ms)} to {format_instant(self.span.until_ms)}"
        if isinstance(self.span, FeedGap):
            return (
                f"sent to {self.topic}: events of {self.span.source} from {span} are lost. Silences are extended by that time, "
                "windows that overlap it are unknown; `feed confirm` over the same time takes it back"
            )
        return f"sent to {self.topic}: {self.span.source} really was quiet from {span}. Its mark goes on until then"


def confirm(settings: Settings, feed: str, *, from_ms: int | None, until_ms: int | None, by: str) -> SpanSent:
    """Say that the silence of a feed is true, so that time goes on for it; a gap over that time is taken back.

    Args:
        settings: broker and topics.
        feed: its name.
        from_ms: when it began; None: as the open alert about the feed says.
        until_ms: until when it may last; None: 24 hours from now.
        by: who says so.

    Raises:
        FeedRefused: there is no such feed, or no alert says since when it is silent, or it is dead, or the span is none.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    now_ms = _checked(settings, feed)
    end_ms = now_ms + CONFIRMED_FOR_MS if until_ms is None else until_ms
    if from_ms is None:
        from_ms = silent_since(asyncio.run(_open_alert(settings, feed)), feed)
    elif until_ms is None and from_ms >= end_ms:
        raise FeedRefused(f"{format_instant(from_ms)} is more than a day ahead: say until when {feed} is quiet, with --until")
    return _send(settings, FeedConfirmed(at_ms=now_ms, source=feed, by=by, **_span(from_ms, end_ms)))


def gap(settings: Settings, feed: str, *, from_ms: int, until_ms: int, by: str) -> SpanSent:
    """Say that the events of a feed between two instants are lost for good.

    Raises:
        FeedRefused: there is no such feed, or the span is none, or lies ahead.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    now_ms = _checked(settings, feed)
    if until_ms > now_ms:
        raise FeedRefused(f"it is {format_instant(now_ms)}: nobody knows that events until {format_instant(until_ms)} are lost")
    return _send(settings, FeedGap(at_ms=now_ms, source=feed, by=by, **_span(from_ms, until_ms)))


def _span(from_ms: int, until_ms: int) -> dict[str, int]:
    if from_ms < 0 or until_ms <= from_ms:
        raise FeedRefused(f"the span ends ({format_instant(until_ms)}) before it begins ({format_instant(max(0, from_ms))})")
    return {"from_ms": from_ms, "until_ms": until_ms}


def _checked(settings: Settings, feed: str) -> int:
    """What time it is, if there is a feed of that name."""
    if partition_count(settings, settings.topic("control")) is None:
        raise FeedRefused(f"the topic {settings.topic('control')} does not exist: `churnwatch topics` creates it")
    known = set(topics_by_feed(load_sources(settings))) | _feeds_of_rules(settings)
    if feed not in known:
        raise FeedRefused(f"there is no feed {feed!r}: {', '.join(sorted(known))}")
    return time_of(settings)


def _feeds_of_rules(settings: Settings) -> set[str]:
    try:
        return set(show(settings).document.feeds)
    except RulesNotFound:
        return set()


def silent_since(alert: AlertRecord | None, feed: str) -> int:
    """When the silence began that the open alert about a feed tells of; None: there is none.

    Raises:
        FeedRefused: it tells of no silence.
    """
    if alert is None:
        raise FeedRefused(f"no open alert says that {feed} is silent: say from when on it is, with --from")
    if alert.feeds.get(feed) == "dead":
        raise FeedRefused(
            f"the open alert says that {feed} is dead, not silent: while it is not read nobody knows whether it is quiet, and "
            "its mark does not go on. `churnwatch sources list` says why; if it is read again and nothing comes, say since "
            "when, with --from"
        )
    return alert.episode_start_ms


async def _open_alert(settings: Settings, feed: str) -> AlertRecord | None:
    """The latest alert about a feed that is open; they come from partition 0."""
    last: dict[bytes, AlertRecord] = {}
    async with reader(settings) as consumer:
        async for record in read_through(consumer, TopicPartition(settings.topic("alerts"), 0)):
            decision = None if record.value is None else decode_decision(record.value)
            if isinstance(decision, AlertRecord) and decision.feed == feed:
                last[record.key] = decision
    opened = [alert for alert in last.values() if alert.state in OPEN_STATES]
    return max(opened, key=lambda alert: alert.episode_start_ms, default=None)


def _send(settings: Settings, span: FeedSpan) -> SpanSent:
    topic = settings.topic("control")
    key = f"feed/{span.source}/{span.type.partition('.')[2]}/{span.from_ms}"
    asyncio.run(write_once(settings, {Place(topic, 0): [Row(key.encode(), encode(span))]}))
    return SpanSent(span, topic)
