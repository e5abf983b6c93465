"""Customers of a partition: structs while somebody looks, small bytes otherwise, the same customers all the time."""

from typing import Final

import pytest
from engine_run import EngineRun, absence, order, rule_set, tick

from detectors.customer_record import PREFIX
from detectors.customers import Customers
from detectors.engine import PartitionEngine
from detectors.occurrence import Occurrence

MAX_BUSY: Final = 2


def with_orders(*names: str) -> Customers:
    customers = Customers(MAX_BUSY)
    for place, name in enumerate(names):
        customer = customers.change(name, first_ms=place)
        customer.lasts["order.placed"] = Occurrence(place, "order.placed", f"o{place}")
        customer.wakes[7] = 1000 + place
    return customers


def loaded(customers: Customers) -> Customers:
    """Others, made of the records of these."""
    found = Customers(MAX_BUSY)
    for key, value in customers.take_changes():
        found.load(key, value)
    return found


def structs(customers: Customers) -> int:
    """How many are structs now."""
    return len(customers._busy)


def test_whoever_was_put_to_rest_is_the_same_when_looked_at_again() -> None:
    customers = with_orders("ann", "bob", "cid", "dan", "eve")
    before = {name: customers.find(name) for name in customers.ids()}

    customers.take_changes()

    assert structs(customers) == 2
    assert {name: customers.find(name) for name in customers.ids()} == before


def test_what_is_taken_is_what_has_changed_since_in_the_order_of_the_first_change() -> None:
    customers = with_orders("eve", "ann", "bob", "cid")
    assert [key for key, _ in customers.take_changes()] == [PREFIX + name for name in (b"eve", b"ann", b"bob", b"cid")]

    customers.change("eve").tier = "vip"
    customers.find("ann")

    assert [key for key, _ in customers.take_changes()] == [PREFIX + b"eve"]
    known = customers.find("eve")
    assert known is not None
    assert known.tier == "vip"


def test_customers_that_were_loaded_are_those_that_were_taken() -> None:
    customers = with_orders("ann", "bob", "cid")
    restored = loaded(customers)

    assert restored.ids() == ["ann", "bob", "cid"]
    assert {name: known.wakes for name, known in restored.wakes()} == {"ann": {7: 1000}, "bob": {7: 1001}, "cid": {7: 1002}}
    assert [restored.find(name) for name in restored.ids()] == [customers.find(name) for name in customers.ids()]
    assert restored.take_changes() == []


def test_whoever_changed_last_stays_a_struct() -> None:
    customers = with_orders("ann", "bob", "cid")
    customers.take_changes()
    held = {name: customers.find(name) for name in ("bob", "cid")}

    customers.change("bob")
    customers.find("ann")
    customers.take_changes()

    assert customers.find("bob") is held["bob"]
    assert customers.find("cid") is not held["cid"]


def test_room_is_made_while_many_change_and_nothing_of_it_is_lost() -> None:
    customers = with_orders("ann", "bob", "cid", "dan", "eve", "fay")
    customers.make_room()
    assert structs(customers) == 2

    customers.change("ann").tier = "vip"

    restored = loaded(customers)
    assert restored.ids() == ["ann", "bob", "cid", "dan", "eve", "fay"]
    assert [(restored.change(name).tier, restored.wakes_of(name)[7]) for name in ("ann", "bob", "fay")] == [
        ("vip", 1000),
        (None, 1001),
        (None, 1005),
    ]


def test_a_rule_set_that_changes_everybody_keeps_few_of_them_as_structs() -> None:
    customers = [order(day, customer=f"c{day}") for day in range(20)]
    run = EngineRun(rule_set(absence(90)), engine=PartitionEngine(0, max_busy=MAX_BUSY)).feed(*customers)
    run.engine.take_changes()

    run.publish(rule_set(absence(30), version="2"), revision=2).feed(tick(70))

    assert structs(run.engine._state.customers) <= 2 * 2 + 1
    assert sorted(alert.customer_id or "" for alert in run.alerts) == sorted(f"c{day}" for day in range(20))


def test_the_wake_ups_of_a_customer_are_known_at_rest_too_and_of_nobody_there_are_none() -> None:
    customers = with_orders("ann", "bob", "cid")
    customers.take_changes()

    assert [customers.wakes_of(name) for name in ("ann", "cid", "nobody")] == [{7: 1000}, {7: 1002}, {}]


def test_a_tombstone_forgets_a_customer_while_loading_and_so_does_dropping() -> None:
    restored = loaded(with_orders("ann", "bob", "cid"))
    restored.load(PREFIX + b"bob", None)
    restored.drop("cid")

    assert restored.ids() == ["ann"]
    assert restored.take_changes() == [(PREFIX + b"cid", None)]


def test_nobody_is_made_up() -> None:
    with pytest.raises(KeyError):
        Customers(MAX_BUSY).change("nobody")
