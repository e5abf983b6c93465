"""One partition of the development broker: what is stored, what is refused, what is read."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_batches import Producer, packed, sent, unpacked

from streams.devbroker.batches import split_batches
from streams.devbroker.errors import ErrorCode, Refused
from streams.devbroker.log import PartitionLog
from streams.devbroker.topic_configs import TopicConfig

DEFAULT = TopicConfig.checked({})
NOW_MS = 1_700_000_000_000
ALL = 1 << 20


@pytest.fixture
def log() -> PartitionLog:
    return PartitionLog(lambda: NOW_MS)


def values(log: PartitionLog, offset: int = 0, *, committed_only: bool = False) -> list[bytes | None]:
    read = log.read(offset, ALL, committed_only=committed_only)
    return [value for at, value in unpacked(read.records) if at >= offset]


def refusal_of(log: PartitionLog, *values_sent: bytes, by: Producer, sequence: int) -> ErrorCode:
    with pytest.raises(Refused) as refused:
        log.append(sent(values_sent, by=by, sequence=sequence), DEFAULT)
    return refused.value.code


# Appending and reading


def test_batches_follow_each_other_without_a_gap(log: PartitionLog) -> None:
    assert log.append(sent([b"a", b"b"]), DEFAULT).base_offset == 0
    assert log.append(sent([b"c"]), DEFAULT).base_offset == 2
    assert log.end_offset == 3
    assert unpacked(log.read(0, ALL, committed_only=False).records) == [(0, b"a"), (1, b"b"), (2, b"c")]


def test_a_read_from_inside_a_batch_returns_the_whole_batch(log: PartitionLog) -> None:
    #  offset   0 1 2 | 3
    #               ^
    log.append(sent([b"a", b"b", b"c"]), DEFAULT)
    log.append(sent([b"d"]), DEFAULT)
    assert [at for at, _ in unpacked(log.read(2, ALL, committed_only=False).records)] == [0, 1, 2, 3]


def test_a_read_at_the_end_is_empty_and_past_it_is_refused(log: PartitionLog) -> None:
    log.append(sent([b"a"]), DEFAULT)
    assert log.read(1, ALL, committed_only=False).records == b""
    for offset in (-1, 2):
        with pytest.raises(Refused) as refused:
            log.read(offset, ALL, committed_only=False)
        assert refused.value.code is ErrorCode.OFFSET_OUT_OF_RANGE


def test_a_reader_with_little_room_gets_one_batch_or_none(log: PartitionLog) -> None:
    log.append(sent([b"a" * 100]), DEFAULT)
    log.append(sent([b"b" * 100]), DEFAULT)
    assert len(unpacked(log.read(0, 10, committed_only=False).records)) == 1
    assert log.read(0, 10, committed_only=False, at_least_one=False).records == b""


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.data())
def test_a_read_holds_every_record_from_its_offset(sizes: list[int], data: st.DataObject) -> None:
    log = PartitionLog(lambda: NOW_MS)
    for size in sizes:
        log.append(sent([b"v"] * size), DEFAULT)
    offset = data.draw(st.integers(0, sum(sizes)))
    read = unpacked(log.read(offset, ALL, committed_only=False).records)
    assert [at for at, _ in read if at >= offset] == list(range(offset, sum(sizes)))


# What is not stored


@pytest.mark.parametrize("at", [17, 40, -1], ids=["the checksum", "the header", "the records"])
def test_a_batch_is_refused_if_a_bit_flips_in(at: int) -> None:
    damaged = bytearray(packed([b"value"]))
    damaged[at] ^= 1
    with pytest.raises(Refused) as refused:
        list(split_batches(bytes(damaged)))
    assert refused.value.code is ErrorCode.CORRUPT_MESSAGE


@given(st.integers(1, 70))
def test_records_cut_short_are_refused(length: int) -> None:
    records = packed([b"value"])
    with pytest.raises(Refused) as refused:
        list(split_batches(records[: min(length, len(records) - 1)]))
    assert refused.value.code is ErrorCode.CORRUPT_MESSAGE


def test_an_older_message_format_is_refused() -> None:
    old = bytearray(packed([b"value"]))
    old[16] = 1
    with pytest.raises(Refused) as refused:
        list(split_batches(bytes(old)))
    assert refused.value.code is ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT


def test_a_batch_may_be_as_large_as_the_topic_allows_and_no_larger(log: PartitionLog) -> None:
    batches = sent([b"x" * 1000])
    size = len(batches[0].payload)
    log.append(batches, TopicConfig.checked({"max.message.bytes": str(size)}))
    with pytest.raises(Refused) as refused:
        log.append(batches, TopicConfig.checked({"max.message.bytes": str(size - 1)}))
    assert refused.value.code is ErrorCode.MESSAGE_TOO_LARGE
    assert log.end_offset == 1


def test_a_timestamp_may_be_an_hour_ahead_and_no_more(log: PartitionLog) -> None:
    log.append(sent([b"x"], timestamps_ms=[NOW_MS + 3_600_000]), DEFAULT)
    with pytest.raises(Refused) as refused:
        log.append(sent([b"x"], timestamps_ms=[NOW_MS + 3_600_001]), DEFAULT)
    assert refused.value.code is ErrorCode.INVALID_TIMESTAMP


# Timestamps


def test_log_append_time_is_stamped_and_the_checksum_made_anew(log: PartitionLog) -> None:
    config = TopicConfig.checked({"message.timestamp.type": "LogAppendTime"})
    stored = log.append(sent([b"value"], timestamps_ms=[5]), config)
    records = log.read(0, ALL, committed_only=False).records
    assert stored.log_append_time_ms == NOW_MS
    assert unpacked(records) == [(0, b"value")]  # this checks the checksum
    attributes, newest = struct.unpack_from(">h", records, 21)[0], struct.unpack_from(">q", records, 35)[0]
    assert (attributes & 0x08, newest) == (0x08, NOW_MS)
    assert log.offset_for_time(NOW_MS) == (0, NOW_MS)


@pytest.mark.parametrize(
    ("timestamp_ms", "found"),
    [(0, (0, 10)), (10, (0, 10)), (11, (1, 30)), (25, (1, 30)), (31, (3, 40)), (40, (3, 40)), (41, None)],
)
def test_the_first_record_not_older_is_found(log: PartitionLog, timestamp_ms: int, found: tuple[int, int] | None) -> None:
    #  offset   0  1  2 |  3
    #  ms      10 30 20 | 40
    log.append(sent([b"a", b"b", b"c"], timestamps_ms=[10, 30, 20]), DEFAULT)
    log.append(sent([b"d"], timestamps_ms=[40]), DEFAULT)
    assert log.offset_for_time(timestamp_ms) == found


def test_the_newest_record_is_found_wherever_it_is(log: PartitionLog) -> None:
    assert log.newest_record() is None
    log.append(sent([b"a", b"b"], timestamps_ms=[10, 30]), DEFAULT)
    log.append(sent([b"c"], timestamps_ms=[20]), DEFAULT)
    assert log.newest_record() == (1, 30)


# Idempotence

ONE = Producer(producer_id=1, epoch=0)
ONE_AGAIN = Producer(producer_id=1, epoch=1)


def test_a_batch_sent_twice_is_stored_once(log: PartitionLog) -> None:
    first = log.append(sent([b"a", b"b"], by=ONE, sequence=0), DEFAULT)
    log.append(sent([b"c"], by=ONE, sequence=2), DEFAULT)
    assert log.append(sent([b"a", b"b"], by=ONE, sequence=0), DEFAULT) == first
    assert values(log) == [b"a", b"b", b"c"]


def test_a_missing_batch_is_noticed(log: PartitionLog) -> None:
    log.append(sent([b"a"], by=ONE, sequence=0), DEFAULT)
    assert refusal_of(log, b"c", by=ONE, sequence=2) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert values(log) == [b"a"]


def test_a_retry_older_than_five_batches_is_refused(log: PartitionLog) -> None:
    for sequence in range(6):
        log.append(sent([b"x"], by=ONE, sequence=sequence), DEFAULT)
    assert log.append(sent([b"x"], by=ONE, sequence=1), DEFAULT).base_offset == 1
    assert refusal_of(log, b"x", by=ONE, sequence=0) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_a_new_epoch_starts_at_zero_and_fences_the_old_one(log: PartitionLog) -> None:
    log.append(sent([b"old"], by=ONE, sequence=0), DEFAULT)
    assert refusal_of(log, b"new", by=ONE_AGAIN, sequence=1) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    log.append(sent([b"new"], by=ONE_AGAIN, sequence=0), DEFAULT)
    assert refusal_of(log, b"zombie", by=ONE, sequence=1) is ErrorCode.INVALID_PRODUCER_EPOCH


def test_sequence_numbers_go_round(log: PartitionLog) -> None:
    last = 2**31 - 1
    log.append(sent([b"a", b"b"], by=ONE, sequence=last - 1), DEFAULT)
    log.append(sent([b"c"], by=ONE, sequence=0), DEFAULT)
    assert values(log) == [b"a", b"b", b"c"]


@given(st.lists(st.integers(0, 2), max_size=20))
def test_retries_of_the_last_batches_change_nothing(retries: list[int]) -> None:
    log = PartitionLog(lambda: NOW_MS)
    for sequence, back in enumerate(retries):
        log.append(sent([b"%d" % sequence], by=ONE, sequence=sequence), DEFAULT)
        again = max(0, sequence - back)
        assert log.append(sent([b"%d" % again], by=ONE, sequence=again), DEFAULT).base_offset == again
    assert values(log) == [b"%d" % sequence for sequence in range(len(retries))]


# Transactions

TWO = Producer(producer_id=2, epoch=0)


def write(log: PartitionLog, value: bytes, by: Producer, sequence: int = 0) -> None:
    log.append(sent([value], by=by, sequence=sequence, transactional=True), DEFAULT)


def test_the_oldest_open_transaction_holds_the_stable_offset(log: PartitionLog) -> None:
    #  offset     0      1      2     3         4
    #           plain   one    two  commit two  commit one
    log.append(sent([b"plain"]), DEFAULT)
    write(log, b"one", ONE)
    write(log, b"two", TWO)
    assert (log.last_stable_offset, log.end_offset) == (1, 3)
    log.end_transaction(2, 0, commit=True)
    assert (log.last_stable_offset, log.end_offset) == (1, 4)
    assert values(log, committed_only=True) == [b"plain"]
    log.end_transaction(1, 0, commit=True)
    assert (log.last_stable_offset, log.end_offset) == (5, 5)
    assert values(log, committed_only=True) == [b"plain", b"one", b"two"]


def test_a_reader_is_told_the_aborted_transactions_that_touch_its_slice_only(log: PartitionLog) -> None:
    #  offset    0       1        2      3       4
    #           one   abort one  plain  two   abort two
    write(log, b"one", ONE)
    log.end_transaction(1, 0, commit=False)
    log.append(sent([b"plain"]), DEFAULT)
    write(log, b"two", TWO)
    log.end_transaction(2, 0, commit=False)

    def aborted(offset: int, max_bytes: int = ALL) -> list[tuple[int, int]]:
        read = log.read(offset, max_bytes, committed_only=True)
        return [(each.producer_id, each.first_offset) for each in read.aborted]

    assert aborted(0) == [(1, 0), (2, 3)]
    assert aborted(0, max_bytes=1) == [(1, 0)]
    assert aborted(1) == [(1, 0), (2, 3)]
    assert aborted(2) == [(2, 3)]
    assert log.read(0, ALL, committed_only=False).aborted == ()


def test_a_marker_of_a_newer_epoch_fences_the_writer(log: PartitionLog) -> None:
    write(log, b"open", ONE)
    log.end_transaction(1, 1, commit=False)
    assert refusal_of(log, b"zombie", by=ONE, sequence=1) is ErrorCode.INVALID_PRODUCER_EPOCH
    write(log, b"successor", ONE_AGAIN)


def test_a_producer_goes_on_counting_after_its_marker(log: PartitionLog) -> None:
    write(log, b"a", ONE)
    log.end_transaction(1, 0, commit=True)
    write(log, b"b", ONE, sequence=1)
    assert values(log) == [b"a", b"b"]


@given(st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.sampled_from(["write", "commit", "abort"])), max_size=25))
def test_committed_readers_see_what_was_committed_before_the_stable_offset(story: list[tuple[int, str]]) -> None:
    log = PartitionLog(lambda: NOW_MS)
    open_values: dict[int, list[bytes]] = {1: [], 2: [], 3: []}
    written: dict[int, int] = {1: 0, 2: 0, 3: 0}
    aborted: set[bytes] = set()
    for step, (producer_id, deed) in enumerate(story):
        if deed == "write":
            write(log, b"%d" % step, Producer(producer_id, 0), written[producer_id])
            open_values[producer_id].append(b"%d" % step)
            written[producer_id] += 1
        else:
            log.end_transaction(producer_id, 0, commit=deed == "commit")
            aborted |= set(open_values[producer_id]) if deed == "abort" else set()
            open_values[producer_id] = []
    everything = unpacked(log.read(0, ALL, committed_only=False).records)
    stable = [value for at, value in everything if at < log.last_stable_offset]
    assert values(log, committed_only=True) == stable
    still_open = {value for each in open_values.values() for value in each}
    assert not still_open & set(stable)
    told = {each.first_offset for each in log.read(0, ALL, committed_only=True).aborted}
    assert all(any(first <= at for first in told) for at, value in everything if value in aborted and value in stable)
