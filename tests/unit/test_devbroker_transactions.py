"""Transactions of the development broker: who may write, and what becomes of what was written."""

import pytest
from record_batches import Producer, sent, unpacked

from streams.devbroker.errors import Refused
from streams.devbroker.groups import GroupRegistry
from streams.devbroker.offsets import CommittedOffset
from streams.devbroker.topic_configs import TopicConfig
from streams.devbroker.topics import TopicStore
from streams.devbroker.transactions import ProducerIdentity, TransactionCoordinator

TIMEOUT_MS = 10_000
ALERTS = ("alerts", 0)
EVENTS = ("events", 0)


class Shop:
    """A coordinator with two topics, and a producer's way to use it."""

    def __init__(self) -> None:
        self.topics = TopicStore(default_partitions=1, clock_ms=lambda: 0)
        self.groups = GroupRegistry()
        self.coordinator = TransactionCoordinator(self.topics, self.groups)
        for name in ("alerts", "events"):
            self.topics.create(name)

    def producer(self, claimed: ProducerIdentity | None = None) -> ProducerIdentity:
        return self.coordinator.transactional_producer("tx", TIMEOUT_MS, claimed)

    def write(self, by: ProducerIdentity, value: bytes, sequence: int = 0, now_s: float = 0.0) -> None:
        self.coordinator.add_partitions("tx", by, [ALERTS], now_s)
        self.coordinator.check_write("tx", by, ALERTS)
        sender = Producer(by.producer_id, by.epoch)
        batches = sent([value], by=sender, sequence=sequence, transactional=True)
        self.topics.partition(*ALERTS).append(batches, TopicConfig.checked({}))

    def commit_offset(self, by: ProducerIdentity, offset: int) -> None:
        self.coordinator.add_group("tx", by, "group", 0.0)
        self.coordinator.commit_offsets("tx", by, "group", {EVENTS: CommittedOffset(offset)})

    def offset(self) -> int | None:
        committed = self.groups.get_or_create("group").offsets.committed(EVENTS)
        return committed.offset if committed else None

    def end(self, by: ProducerIdentity, *, commit: bool) -> None:
        self.coordinator.end("tx", by, commit=commit)

    def readable(self) -> list[bytes | None]:
        """What a reader of committed records sees; there is one producer, so all in an aborted range is its own."""
        read = self.topics.partition(*ALERTS).read(0, 1 << 20, committed_only=True)
        aborted = [range(each.first_offset, each.marker_offset) for each in read.aborted]
        return [value for at, value in unpacked(read.records) if not any(at in gone for gone in aborted)]


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_records_and_offsets_become_visible_together(shop: Shop) -> None:
    producer = shop.producer()
    shop.write(producer, b"alert")
    shop.commit_offset(producer, 7)
    assert (shop.readable(), shop.offset()) == ([], None)
    assert shop.groups.get_or_create("group").offsets.is_pending(EVENTS)
    shop.end(producer, commit=True)
    assert (shop.readable(), shop.offset()) == ([b"alert"], 7)
    assert not shop.groups.get_or_create("group").offsets.is_pending(EVENTS)


def test_records_and_offsets_are_dropped_together(shop: Shop) -> None:
    producer = shop.producer()
    shop.write(producer, b"alert")
    shop.commit_offset(producer, 7)
    shop.end(producer, commit=False)
    assert (shop.readable(), shop.offset()) == ([], None)


def test_the_next_producer_aborts_what_was_left_open_and_fences_the_last_one(shop: Shop) -> None:
    crashed = shop.producer()
    shop.write(crashed, b"left open")
    successor = shop.producer()
    assert successor.producer_id == crashed.producer_id
    assert successor.epoch > crashed.epoch
    with pytest.raises(Refused, match="PRODUCER_FENCED"):
        shop.write(crashed, b"zombie", sequence=1)
    with pytest.raises(Refused, match="PRODUCER_FENCED"):
        shop.commit_offset(crashed, 7)
    with pytest.raises(Refused, match="PRODUCER_FENCED"):
        shop.end(crashed, commit=True)
    shop.write(successor, b"done")
    shop.end(successor, commit=True)
    assert shop.readable() == [b"done"]


def test_a_transaction_is_aborted_at_its_deadline_and_its_producer_fenced(shop: Shop) -> None:
    producer = shop.producer()
    shop.write(producer, b"slow", now_s=100.0)
    shop.coordinator.tick(109.9)
    shop.coordinator.check_write("tx", producer, ALERTS)
    shop.coordinator.tick(110.0)
    with pytest.raises(Refused, match="PRODUCER_FENCED"):
        shop.end(producer, commit=True)
    assert shop.readable() == []


def test_the_deadline_counts_from_the_first_partition(shop: Shop) -> None:
    producer = shop.producer()
    shop.write(producer, b"first", now_s=100.0)
    shop.write(producer, b"second", sequence=1, now_s=105.0)
    shop.coordinator.tick(110.0)
    assert shop.readable() == []
    with pytest.raises(Refused, match="PRODUCER_FENCED"):
        shop.coordinator.check_write("tx", producer, ALERTS)


def test_ending_twice_the_same_way_is_a_retry_and_otherwise_refused(shop: Shop) -> None:
    producer = shop.producer()
    with pytest.raises(Refused, match="INVALID_TXN_STATE"):
        shop.end(producer, commit=True)
    shop.write(producer, b"alert")
    shop.end(producer, commit=True)
    end_offset = shop.topics.partition(*ALERTS).end_offset
    shop.end(producer, commit=True)
    assert shop.topics.partition(*ALERTS).end_offset == end_offset
    with pytest.raises(Refused, match="INVALID_TXN_STATE"):
        shop.end(producer, commit=False)


def test_a_partition_or_group_that_was_not_added_is_refused(shop: Shop) -> None:
    producer = shop.producer()
    shop.coordinator.add_partitions("tx", producer, [EVENTS], 0.0)
    with pytest.raises(Refused, match="INVALID_TXN_STATE"):
        shop.coordinator.check_write("tx", producer, ALERTS)
    with pytest.raises(Refused, match="INVALID_TXN_STATE"):
        shop.coordinator.commit_offsets("tx", producer, "group", {EVENTS: CommittedOffset(1)})


def test_a_recovering_producer_gets_the_next_epoch_unless_it_was_replaced(shop: Shop) -> None:
    first = shop.producer()
    recovered = shop.producer(claimed=first)
    assert recovered == ProducerIdentity(first.producer_id, first.epoch + 1)
    with pytest.raises(Refused, match="PRODUCER_FENCED"):
        shop.producer(claimed=first)


def test_an_exhausted_epoch_leads_to_a_new_producer_id(shop: Shop) -> None:
    first = shop.producer()
    seen = {shop.producer() for _ in range(2**15)}
    assert max(each.epoch for each in seen) < 2**15 - 1
    assert {each.producer_id for each in seen} > {first.producer_id}


def test_a_deleted_topic_does_not_stop_a_transaction_from_ending(shop: Shop) -> None:
    producer = shop.producer()
    shop.write(producer, b"alert")
    shop.commit_offset(producer, 7)
    shop.topics.delete("alerts")
    shop.end(producer, commit=True)
    assert shop.offset() == 7


@pytest.mark.parametrize("timeout_ms", [0, 15 * 60 * 1000 + 1])
def test_a_timeout_out_of_bounds_is_refused(shop: Shop, timeout_ms: int) -> None:
    with pytest.raises(Refused, match="INVALID_TRANSACTION_TIMEOUT"):
        shop.coordinator.transactional_producer("tx", timeout_ms)
