"""A lane: one recipient, its place in `churn.alerts`, its plan, and its sink. Nobody else waits for it."""

import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from aiokafka.structs import ConsumerRecord, TopicPartition

from schemas.codec import decode_decision
from schemas.decisions import AlertRecord
from schemas.deliveries import AnyLedger, PositionRecord, StormOrder, ToldRecord
from schemas.errors import ContractError
from sinks.base import Sink, StandingSink
from sinks.messages import Messages
from sinks.steps import Plan, Step
from streams.dispatch_calls import Caller, Refused
from streams.dispatch_letters import AlertsAt, letters_of, unreadable
from streams.dispatch_work import in_chains
from streams.ledger import LedgerWriter
from streams.settings import Settings
from streams.topic_tail import read_through, reader
from streams.tracing import tracing_of

_FETCH_WAIT_MS: Final = 200
_FETCH_BYTES: Final = 1 << 17
_LONGEST_WAIT_MS: Final = 1_000
_MAX_RECORDS: Final = 500
AT_ONCE: Final = 8
"""Alerts of which a system is told at the same time; people are told of one after the other."""

log = structlog.get_logger("churn.dispatch")

Prove = Callable[[], Awaitable[None]]
"""Raises unless this process is the one that may tell recipients."""


@dataclass
class LaneCounters:
    """What a lane has done since the process started; only ever added to."""

    results: Counter[str] = field(default_factory=Counter)
    """Of deliveries: `sent`, `retried`, `refused`."""


@dataclass(frozen=True)
class LaneForm:
    """What a lane is for.

    Args:
        recipient: whom, by the name in the file of routes.
        plan: decides.
        sink: tells.
        at_once: subjects of which it is told at the same time.
    """

    recipient: str
    plan: Plan
    sink: Sink
    at_once: int


class Lane:
    """Reads, decides, tells and remembers, until it is to leave."""

    def __init__(self, settings: Settings, form: LaneForm, writer: LedgerWriter, counters: LaneCounters) -> None:
        self.caller = Caller(form.recipient, form.sink, counters.results)
        self.offsets: list[int] = []
        """Of the next record to be decided about, by the number of the partition."""
        self.behind_records = 0
        """Between there and the ends of the partitions, as far as known."""
        self._settings = settings
        self._form = form
        self._writer = writer
        self._orders: list[StormOrder] = []
        self.is_telling = False
        """Whether the sink is being told of something."""
        self._is_leaving = False
        self._tracing = tracing_of(settings)
        self._topic = settings.topic("alerts")
        self._catches_up_to: list[int] = []
        self._repeat_s = time.monotonic()

    def template_errors(self) -> Counter[str]:
        """Messages that went out in plain words since their template failed, by template."""
        messages = getattr(self._form.sink, "messages", None)
        return messages.errors.copy() if isinstance(messages, Messages) else Counter()

    def leave(self) -> None:
        """Begin nothing more; what is being told is finished, unless whoever runs the lane cuts it off."""
        self._is_leaving = True

    def order(self, order: StormOrder) -> None:
        """People decided about a storm."""
        self._orders.append(order)

    async def run(self, rows: Sequence[AnyLedger], now_ms: Callable[[], int], prove: Prove) -> None:
        """Go on where the rows say, or begin at the end of the topic: nobody wants to hear of all that ever was.

        Raises:
            KafkaError: the broker does not answer.
        """
        async with reader(self._settings, fetch_wait_ms=_FETCH_WAIT_MS, fetch_bytes=_FETCH_BYTES) as consumer:
            await self._begin(consumer, rows)
            log.info("lane.began", recipient=self._form.recipient, offsets=self.offsets)
            while not self._is_leaving:
                arrived = await consumer.getmany(timeout_ms=self._wait_ms(now_ms()), max_records=_MAX_RECORDS)
                self.behind_records = await self._behind(consumer) + sum(map(len, arrived.values()))
                steps, places = await self._decide(arrived, now_ms())
                if self._catches_up_to and await self._is_caught_up(consumer):
                    self._catches_up_to = []
                    steps += self._form.plan.caught_up()
                if steps or arrived:
                    await prove()
                    await self._carry_out(steps, places, _behind_the_last(self.offsets, arrived))
                await self._repeat()

    async def _begin(self, consumer: Any, rows: Sequence[AnyLedger]) -> None:  # noqa: ANN401 - aiokafka has no types
        partitions = [TopicPartition(self._topic, number) for number in range(self._settings.partitions)]
        consumer.assign(partitions)
        ends, begins = await consumer.end_offsets(partitions), await consumer.beginning_offsets(partitions)
        known = next((row for row in rows if isinstance(row, PositionRecord)), None)
        offsets = [ends[tp] for tp in partitions] if known is None else known.offsets
        self.offsets = [max(begins[tp], offset) for tp, offset in zip(partitions, offsets, strict=True)]
        self._catches_up_to = [ends[tp] for tp in partitions]
        if known is None:
            await self._writer.write([self._position()])
        self._form.plan.restore(rows)
        if isinstance(self._form.sink, StandingSink):
            await self._form.sink.resume(await self._open_alerts(consumer, rows))
            consumer.assign(partitions)
        for tp in partitions:
            consumer.seek(tp, self.offsets[tp.partition])

    async def _open_alerts(self, consumer: Any, rows: Sequence[AnyLedger]) -> list[AlertRecord]:  # noqa: ANN401
        """The record of each alert that the recipient knows as open, as it was told last."""
        told = {row.alert_id: row.sequence for row in rows if isinstance(row, ToldRecord) and row.opened}
        found: dict[str, AlertRecord] = {}
        if not told:
            return []
        for partition in range(self._settings.partitions):
            async for record in read_through(consumer, TopicPartition(self._topic, partition)):
                alert = _alert_in(record) if (record.key or b"").decode(errors="replace") in told else None
                if alert is not None and alert.sequence <= told[alert.alert_id]:
                    found[alert.alert_id] = alert
        return list(found.values())

    def _wait_ms(self, now_ms: int) -> int:
        due_ms = self._form.plan.next_due_ms()
        wait_ms = _LONGEST_WAIT_MS if due_ms is None else due_ms - now_ms
        return max(0, min(_LONGEST_WAIT_MS, wait_ms))

    async def _behind(self, consumer: Any) -> int:  # noqa: ANN401 - aiokafka has no types
        """What stands in the topic and was not fetched, up to what ends the last transaction."""
        partitions = [TopicPartition(self._topic, number) for number in range(len(self.offsets))]
        return sum([max(0, (consumer.highwater(tp) or 0) - await consumer.position(tp)) for tp in partitions])

    async def _decide(self, arrived: dict[TopicPartition, list[ConsumerRecord]], now_ms: int) -> tuple[list[Step], AlertsAt]:
        plan, places = self._form.plan, AlertsAt()
        steps: list[Step] = []
        for records in arrived.values():
            for run in _runs(records, places):
                steps += plan.forgotten(run) if isinstance(run, str) else plan.take(run, now_ms)
        await self._writer.put_aside([unreadable(record, error) for record, error in places.unreadable])
        while self._orders:
            steps += plan.order(self._orders.pop(0), now_ms)
        return [*steps, *plan.due(now_ms)], places

    async def _is_caught_up(self, consumer: Any) -> bool:  # noqa: ANN401 - aiokafka has no types
        """Whether all that stood in the topic at the beginning was fetched."""
        ends = enumerate(self._catches_up_to)
        return all([await consumer.position(TopicPartition(self._topic, number)) >= end for number, end in ends])

    async def _carry_out(self, steps: Sequence[Step], places: AlertsAt, reached: list[int]) -> None:
        """Tell, remember, and only then say that the records are done; a key that is over goes last."""
        self.is_telling = True
        try:
            done = await in_chains(steps, self._form.at_once, lambda chain: self._chain(chain, places))
        finally:
            self.is_telling = False
        if not done:
            return
        has_moved, self.offsets = reached != self.offsets, reached
        await self._writer.write([self._position()] if has_moved else [], _over(steps))

    def _position(self) -> PositionRecord:
        return PositionRecord(recipient=self._form.recipient, offsets=list(self.offsets))

    async def _chain(self, chain: Sequence[Step], places: AlertsAt) -> bool:
        """Steps in their order. What only is to be remembered waits for the next that is told, or for the end."""
        rows: list[AnyLedger] = []
        for step in chain:
            if step.send:
                if self._is_leaving:
                    return False
                await self._writer.write(rows)
                rows = await self._told(step, places)
                await self._writer.write(rows)
                rows = []
            else:
                rows += step.remember
        await self._writer.write(rows)
        return True

    async def _told(self, step: Step, places: AlertsAt) -> list[AnyLedger]:
        """Tell; the rows that say so, or that the sink refused."""
        spans = self._tracing.begin("deliver", self._form.recipient)
        rows, fault = list(step.remember), ""
        try:
            for delivery in step.send:
                await self.caller.tell(delivery, places.traceparent_of(delivery))
        except Refused as refused:
            rows, fault = [_refused(row) for row in step.remember], str(refused)
            await self._writer.put_aside(letters_of(step.send, self._settings, places, self._form.recipient, fault))
        for delivery in step.send:
            for record in places.of(delivery):
                spans.add_record(record, fault=fault)
        spans.end()
        return rows

    async def _repeat(self) -> None:
        """What the other side would forget."""
        sink = self._form.sink
        if isinstance(sink, StandingSink) and time.monotonic() >= self._repeat_s:
            self._repeat_s = time.monotonic() + sink.repeat_every_s
            with contextlib.suppress(Refused):  # the log has it, and the next repetition tries again
                await self.caller.until_taken(sink.repeat)


def _runs(records: Sequence[ConsumerRecord], places: AlertsAt) -> list[list[AlertRecord] | str]:
    """Alerts that follow each other, and ids of those that were taken out, in the order of the topic."""
    runs: list[list[AlertRecord] | str] = []
    for record in records:
        if record.value is None:
            runs.append((record.key or b"").decode(errors="replace"))
            continue
        try:
            alert = decode_decision(record.value)
        except ContractError as error:
            places.unreadable.append((record, error))
            continue
        if isinstance(alert, AlertRecord):
            places.put(alert, record)
            if not runs or isinstance(runs[-1], str):
                runs.append([])
            runs[-1].append(alert)  # type: ignore[union-attr]  # a list: just seen to
    return runs


def _alert_in(record: ConsumerRecord) -> AlertRecord | None:
    if record.value is None:
        return None
    try:
        found = decode_decision(record.value)
    except ContractError:  # the lane itself puts it aside
        return None
    return found if isinstance(found, AlertRecord) else None


def _behind_the_last(offsets: Sequence[int], arrived: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> list[int]:
    """Offsets by partition, once what arrived was decided about."""
    reached = list(offsets)
    for tp, records in arrived.items():
        reached[tp.partition] = records[-1].offset + 1
    return reached


def _over(steps: Sequence[Step]) -> list[bytes]:
    """The keys that are over, and were not remembered again by a later step."""
    over: dict[bytes, None] = {}
    for step in steps:
        for row in step.remember:
            over.pop(row.key(), None)
        over |= dict.fromkeys(step.forget)
    return list(over)


def _refused(row: AnyLedger) -> AnyLedger:
    """As it is remembered when the sink will never take it: nobody has to hear of its end."""
    if isinstance(row, ToldRecord) and row.told == "sent":
        return ToldRecord(
            recipient=row.recipient,
            alert_id=row.alert_id,
            sequence=row.sequence,
            told="refused",
            at_ms=row.at_ms,
            over=row.over,
        )
    return row
