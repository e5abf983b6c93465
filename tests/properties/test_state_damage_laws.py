"""Whatever happens to a record of the state: it is read as it was written, or it is named. Never anything else."""

from collections.abc import Mapping

import msgspec
import pytest
from engine_run import EngineRun, complaint, contract, order, survey, tick
from hypothesis import given
from hypothesis import strategies as st
from standing_run import churn_rules

from detectors.customers import Customers
from detectors.engine import PartitionEngine
from detectors.partition_state import ENGINE_VERSION, HEAD_KEY
from detectors.state import Head
from detectors.state_error import StateError
from detectors.state_frame import FORMAT, opened, sealed
from schemas.codec import encode
from schemas.control import Tick
from schemas.events import CustomerErased

DAY_MS = 86_400_000


def written() -> dict[bytes, bytes]:
    """A state with a record of every kind."""
    run = EngineRun(churn_rules())
    run.feed(*(order(day, customer=name) for day in range(0, 60, 7) for name in ("ann", "bob")), tick(62))
    run.feed(complaint(63, "ann"), contract(63, "ann", 90), survey(64, "bob", 2), order(65, "zoe"))
    run.feed(CustomerErased(id="e", customer_id="zoe", at_ms=66 * DAY_MS), tick(70))
    changes = [*run.engine.take_changes(), run.engine.head_change()]
    return {key: value for key, value in changes if value is not None}


STATE = written()
KEYS = st.sampled_from(sorted(STATE))
BYTES = st.binary(max_size=60)


def touched(records: Mapping[bytes, bytes]) -> PartitionEngine:
    """An engine that was made of records, and has looked at all of them."""
    engine = PartitionEngine(0)
    for key, value in records.items():
        engine.load(key, value)
    engine.restored()
    customers, pending = engine._state.customers, engine._state.pending
    for customer_id in customers.ids():
        customers.find(customer_id)
    for key in records:
        if key.startswith(b"x/"):
            name, at_ms = key[2:].rsplit(b"/", 1)
            pending.take(name.decode(), int(at_ms))
    return engine


def with_value(key: bytes, value: bytes) -> dict[bytes, bytes]:
    return {**STATE, key: value}


def test_there_is_a_record_of_every_kind_and_all_of_them_can_be_read() -> None:
    assert {key[:2] for key in STATE} == {b"c/", b"x/", b"e/", b"p/"}
    assert touched(STATE).position > 0


@given(KEYS, st.integers(0), st.integers(1, 255))
def test_a_changed_byte_is_found_and_named(key: bytes, place: int, change: int) -> None:
    value = bytearray(STATE[key])
    value[place % len(value)] ^= change

    with pytest.raises(StateError) as found:
        touched(with_value(key, bytes(value)))
    assert found.value.key == key
    assert key.decode() in str(found.value)


@given(KEYS, st.integers(0), BYTES)
def test_a_value_that_is_cut_or_goes_on_is_found_and_named(key: bytes, place: int, more: bytes) -> None:
    value = STATE[key][: place % (len(STATE[key]) + 1)] + more
    if value == STATE[key]:
        return
    with pytest.raises(StateError) as found:
        touched(with_value(key, value))
    assert found.value.key == key


@given(KEYS, KEYS)
def test_a_value_under_the_key_of_another_is_found_and_named(key: bytes, other: bytes) -> None:
    if key != other:
        with pytest.raises(StateError) as found:
            touched(with_value(key, STATE[other]))
        assert found.value.key == key


@given(KEYS, st.integers(0), st.integers(1, 255))
def test_a_key_that_has_changed_is_found(key: bytes, place: int, change: int) -> None:
    other = bytearray(key)
    other[place % len(key)] ^= change
    records = {known: value for known, value in STATE.items() if known != key}

    with pytest.raises(StateError):
        touched({**records, bytes(other): STATE[key]})


@given(KEYS, BYTES)
def test_what_no_release_ever_wrote_is_named_at_the_latest_when_it_is_touched(key: bytes, content: bytes) -> None:
    #  the checksum is right: whoever wrote this meant it
    named: bytes | None = None
    try:
        touched(with_value(key, sealed(key, content)))
    except StateError as error:
        named = error.key
    # what can be read is read: a number of an erasure, a head whose fields have these types
    assert named == key or (named is None and key.startswith((b"e/", b"p/head")))


@given(st.sampled_from([key for key in sorted(STATE) if key.startswith(b"c/")]), st.integers(0), BYTES)
def test_damage_behind_the_first_fields_of_a_customer_is_found_when_somebody_looks(
    key: bytes, place: int, garbage: bytes
) -> None:
    content = opened(key, STATE[key])
    begin = 2 + int.from_bytes(content[:2], "big")
    rest = content[begin + place % (len(content) - begin) :]
    engine = PartitionEngine(0)
    for known, value in with_value(key, sealed(key, content[: -len(rest)] + garbage)).items():
        engine.load(known, value)
    engine.restored()

    if garbage != rest:
        with pytest.raises(StateError) as found:
            engine.apply(engine.position + 1, order(71, customer=key[2:].decode()))
        assert found.value.key == key


def test_a_customer_who_claims_to_be_larger_than_any_memory_is_named() -> None:
    key, first = b"c/ann", msgspec.msgpack.encode(({}, None))
    huge = b"\xe0" + (1 << 61).to_bytes(8, "little") + b"\x01\x00\x00"
    with pytest.raises(StateError, match="'c/ann' cannot be read"):
        touched(with_value(key, sealed(key, len(first).to_bytes(2, "big") + first + huge)))


def test_a_record_of_a_newer_format_says_so() -> None:
    value = STATE[b"c/ann"]
    with pytest.raises(StateError, match=f"'c/ann' is of format {FORMAT + 1}, and this release reads format {FORMAT}"):
        touched(with_value(b"c/ann", bytes([FORMAT + 1]) + value[1:]))


def test_a_state_of_a_newer_engine_says_so() -> None:
    newer = sealed(HEAD_KEY, msgspec.msgpack.encode(Head(engine=ENGINE_VERSION + 1)))
    with pytest.raises(StateError, match=f"'p/head' is of version {ENGINE_VERSION + 1} of the engine"):
        touched(with_value(HEAD_KEY, newer))


def test_customers_without_the_partitions_own_record_are_no_state() -> None:
    with pytest.raises(StateError, match="'p/head' is missing"):
        touched({key: value for key, value in STATE.items() if key != HEAD_KEY})


def test_nothing_at_all_is_the_state_of_a_new_partition() -> None:
    assert touched({}).position == -1


@pytest.mark.parametrize("key", [b"q/unknown", b"", b"p/other", b"\xff"])
def test_a_key_that_this_release_does_not_know_is_named(key: bytes) -> None:
    with pytest.raises(StateError) as found:
        touched(with_value(key, sealed(key, b"")))
    assert found.value.key == key


@pytest.mark.parametrize("key", [HEAD_KEY, b"p/document/rules", b"e/00"])
def test_a_tombstone_where_none_is_ever_written_is_named(key: bytes) -> None:
    with pytest.raises(StateError, match="tombstone"):
        PartitionEngine(0).load(key, None)


def test_a_document_that_is_none_is_named() -> None:
    key = b"p/document/rules"
    with pytest.raises(StateError, match="instead of its document"):
        touched(with_value(key, sealed(key, encode(Tick(at_ms=1)))))


def test_a_customer_whose_id_is_no_text_is_named() -> None:
    key = b"c/\xff"
    with pytest.raises(StateError, match="not UTF-8"):
        Customers().load(key, sealed(key, opened(b"c/ann", STATE[b"c/ann"])))
