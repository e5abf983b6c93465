"""The simulated shop: the same each time, true to its plans, and honest about its clock."""

import hashlib
import os
import subprocess
import sys
from collections import Counter

import pytest

from schemas.codec import decode_record
from schemas.errors import ContractError
from schemas.events import Event, LoginSucceeded, OrderPlaced
from streams.simulate import FEEDS, Delivery, Shop, Simulation, feed_of, simulate

SMALL = Shop(customers=60, weeks=20)


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate(SMALL)


@pytest.fixture(scope="module")
def deliveries(simulation: Simulation) -> list[Delivery]:
    return list(simulation.deliveries())


def event_in(delivery: Delivery) -> Event | None:
    """The event, None where nobody can read it."""
    try:
        record = decode_record(delivery.value or b"")
    except ContractError:
        return None
    return record if isinstance(record, Event) else None


def test_a_shop_has_the_same_story_in_every_process() -> None:
    program = (
        "import hashlib; from streams.simulate import Shop, simulate; "
        "print(hashlib.sha256(repr(list(simulate(Shop(customers=40)).deliveries())).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("0", "1")
    }
    here = hashlib.sha256(repr(list(simulate(Shop(customers=40)).deliveries())).encode()).hexdigest()
    assert digests == {here}


def test_another_seed_is_another_shop() -> None:
    assert simulate(Shop(seed=1)).truth != simulate(Shop(seed=2)).truth


def test_records_arrive_in_order(deliveries: list[Delivery]) -> None:
    arrivals = [delivery.arrives_ms for delivery in deliveries]
    assert arrivals == sorted(arrivals)


def test_event_ids_are_unique(simulation: Simulation) -> None:
    counted = Counter(event.id for event in simulation.events())
    assert set(counted.values()) == {1}


def test_a_watermark_keeps_its_word(deliveries: list[Delivery]) -> None:
    #  events of a feed   a  b        c     d
    #  watermark                 W             none of what follows is older than W
    promised = dict.fromkeys(FEEDS, 0)
    for delivery in deliveries:
        if delivery.value is None:
            promised[delivery.feed] = delivery.arrives_ms
            continue
        event = event_in(delivery)
        if event is not None:
            assert event.at_ms >= promised[delivery.feed]
            assert delivery.feed == feed_of(event)


def test_the_dead_feed_says_nothing_and_then_delivers_all_at_once(deliveries: list[Delivery]) -> None:
    #          outage
    #  ------[          )|------
    #                    ^ all that happened inside
    outage = SMALL.outage
    from_dead = [delivery for delivery in deliveries if delivery.feed == SMALL.dead_feed]
    assert not [delivery for delivery in from_dead if delivery.arrives_ms in outage]
    late = [delivery for delivery in from_dead if (event := event_in(delivery)) is not None and event.at_ms in outage]
    assert len(late) > 10
    assert {delivery.arrives_ms for delivery in late} == {outage.end_ms}


def test_whoever_left_neither_orders_nor_signs_in_again(simulation: Simulation) -> None:
    left_ms = simulation.truth.left_ms
    assert len(left_ms) > 10
    for event in simulation.events():
        if isinstance(event, OrderPlaced | LoginSucceeded) and event.customer_id in left_ms:
            assert event.at_ms < left_ms[event.customer_id]


def test_whoever_was_away_comes_back(simulation: Simulation) -> None:
    for customer_id, away in simulation.truth.away.items():
        orders_ms = [
            event.at_ms for event in simulation.events() if isinstance(event, OrderPlaced) and event.customer_id == customer_id
        ]
        assert not [at_ms for at_ms in orders_ms if at_ms in away]
        assert max(orders_ms) >= away.end_ms
    assert simulation.truth.away


def test_it_shows_before_they_leave(simulation: Simulation) -> None:
    """Those who leave sign in less often in the four weeks before than in the four weeks before those."""
    before = Counter[bool]()
    month_ms = 28 * 86_400_000
    for event in simulation.events():
        end_ms = simulation.truth.left_ms.get(event.customer_id)
        if isinstance(event, LoginSucceeded) and end_ms is not None and event.at_ms >= end_ms - 2 * month_ms:
            before[event.at_ms >= end_ms - month_ms] += 1
    assert before[True] < 0.6 * before[False]


def test_unreadable_records_are_as_many_as_it_says(simulation: Simulation, deliveries: list[Delivery]) -> None:
    unreadable = [delivery for delivery in deliveries if delivery.value is not None and event_in(delivery) is None]
    assert len(unreadable) == simulation.truth.malformed
