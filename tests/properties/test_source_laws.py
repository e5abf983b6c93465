"""Laws of a source: however often its records are read, by whom, in which pieces, and under which epoch, they count once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from engine_run import EngineRun, absence, rule_set, tick
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import Record, decode_record
from schemas.decisions import AlertRecord
from schemas.instants import DAY_MS
from schemas.rule_kinds import CountRule
from streams.routing import Forward, Terms, route
from streams.sources import Source

RULES = rule_set(absence(4), CountRule(id="burst", version="1", of=["order.placed"], at_least=3, within="P7D"))
CUSTOMERS = ("ann", "bob")


@dataclass
class Read:
    """A record as a worker is handed it."""

    value: bytes | None
    offset: int
    partition: int = 0
    topic: str = "orders"
    timestamp: int = 0
    headers: Sequence[tuple[str, bytes]] = ()


def order(number: int, day: int, customer: str) -> bytes:
    event = {"type": "order.placed", "id": f"o{number}", "customer_id": customer, "at_ms": day * DAY_MS}
    return json.dumps(event | {"order_id": f"o{number}", "amount": 5.0}).encode()


ORDERS = st.lists(st.tuples(st.integers(0, 30), st.sampled_from(CUSTOMERS)), min_size=1, max_size=12)
"""Day and customer of each record of a source partition, in the order of the offsets."""


def forwarded(values: Sequence[bytes], offsets: Sequence[int], epoch: int = 0) -> list[Record]:
    """What ingest writes when it is handed these records."""
    terms = Terms(Source("orders", "orders"), 1, epoch=epoch)
    written: list[Record] = []
    for offset in offsets:
        found = route(Read(values[offset], offset), terms)
        assert isinstance(found, Forward)
        written += [decode_record(record.value) for record in found.records]
    return written


def told(records: Sequence[Record]) -> list[AlertRecord]:
    return EngineRun(RULES).feed(*records, tick(60)).alerts


def written(orders: Sequence[tuple[int, str]]) -> list[bytes]:
    return [order(number, day, customer) for number, (day, customer) in enumerate(orders)]


@given(ORDERS, st.data())
def test_two_workers_on_one_source_partition_change_nothing(orders: list[tuple[int, str]], data: st.DataObject) -> None:
    #  offsets     0 1 2 3 4 5 6 7
    #  a zombie    0 1|2 3 4 5            what stands before the last commit is in the log when
    #  its heir       |2 3 4 5 6 7        the heir begins there; the rest of both comes in order, mixed anyhow
    values, count = written(orders), len(orders)
    until = data.draw(st.integers(0, count), label="the zombie reads until")
    begin = data.draw(st.integers(0, until), label="committed")
    zombie, heir = forwarded(values, range(begin, until)), forwarded(values, range(begin, count))
    turns = data.draw(st.permutations([True] * len(zombie) + [False] * len(heir)), label="whose turn")
    mixed = [(zombie if is_zombie else heir).pop(0) for is_zombie in turns]

    assert told([*forwarded(values, range(begin)), *mixed]) == told(forwarded(values, range(count)))


@given(ORDERS, st.lists(st.integers(0, 11), max_size=4))
def test_reading_on_from_any_earlier_place_changes_nothing(orders: list[tuple[int, str]], back_to: list[int]) -> None:
    values, count = written(orders), len(orders)
    again = [record for place in back_to for record in forwarded(values, range(min(place, count), count))]

    assert told([*forwarded(values, range(count)), *again]) == told(forwarded(values, range(count)))


@given(ORDERS, ORDERS)
def test_a_topic_that_was_made_again_counts_in_full_under_the_next_epoch_and_the_old_one_stays_as_it_was(
    first: list[tuple[int, str]], second: list[tuple[int, str]]
) -> None:
    #  epoch 0   a0 a1 a2
    #  epoch 1            b0 b1 b2 b3 | a1 a2: a zombie that had fetched them
    old = written(first)
    new = [order(100 + number, day, customer) for number, (day, customer) in enumerate(second)]
    one_topic = [*old, *new]

    before, after = forwarded(old, range(len(old))), forwarded(new, range(len(new)), epoch=1)
    run = EngineRun(RULES).feed(*before, *after, *before, *after)

    plain = EngineRun(RULES).feed(*forwarded(one_topic, range(len(one_topic))))
    assert [said(alert) for alert in run.feed(tick(60)).alerts] == [said(alert) for alert in plain.feed(tick(60)).alerts]


def said(alert: AlertRecord) -> tuple[object, ...]:
    """All but where the evidence stood."""
    return (alert.alert_id, alert.sequence, alert.state, alert.at_ms, alert.customer_id, tuple(map(str, alert.because)))


@given(ORDERS, st.data())
def test_what_a_source_sends_twice_counts_once(orders: list[tuple[int, str]], data: st.DataObject) -> None:
    #  the same record again, at a later offset, among the next ones
    values = written(orders)
    doubled: list[bytes] = []
    for value in values:
        doubled.append(value)
        if data.draw(st.booleans(), label="again"):
            doubled.append(value)

    once, twice = told(forwarded(values, range(len(values)))), told(forwarded(doubled, range(len(doubled))))
    assert [said(alert) for alert in twice] == [said(alert) for alert in once]
