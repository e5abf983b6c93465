"""Customers of a partition: structs while somebody looks, small bytes otherwise, the same customers all the time."""

import pytest

from detectors import customers as customers_module
from detectors.customers import PREFIX, Customers
from detectors.occurrence import Occurrence


@pytest.fixture(autouse=True)
def _two_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(customers_module, "MAX_BUSY", 2)


def with_orders(*names: str) -> Customers:
    customers = Customers()
    for place, name in enumerate(names):
        customer = customers.change(name, first_ms=place)
        customer.lasts["order.placed"] = Occurrence(place, "order.placed", f"o{place}")
        customer.wakes[7] = 1000 + place
    return customers


def test_whoever_was_put_to_rest_is_the_same_when_looked_at_again() -> None:
    customers = with_orders("ann", "bob", "cid", "dan", "eve")
    before = {name: customers.find(name) for name in customers.ids()}

    customers.take_changes()

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
    restored = Customers()
    for key, value in customers.take_changes():
        restored.load(key.removeprefix(PREFIX).decode(), value)

    assert restored.ids() == ["ann", "bob", "cid"]
    assert {name: known.wakes for name, known in restored.wakes()} == {"ann": {7: 1000}, "bob": {7: 1001}, "cid": {7: 1002}}
    assert [restored.find(name) for name in restored.ids()] == [customers.find(name) for name in customers.ids()]


def test_whoever_was_loaded_is_put_to_rest_bit_by_bit_and_is_found_all_the_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(customers_module, "_AT_A_TIME", 1)
    customers = with_orders("ann", "bob", "cid", "dan")
    restored = Customers()
    for key, value in customers.take_changes():
        restored.load(key.removeprefix(PREFIX).decode(), value)

    for _ in range(5):
        assert restored.take_changes() == []
        assert restored.ids() == ["ann", "bob", "cid", "dan"]
        assert [restored.wakes_of(name)[7] for name in restored.ids()] == [1000, 1001, 1002, 1003]
    assert [restored.find(name) for name in restored.ids()] == [customers.find(name) for name in customers.ids()]


def test_the_wake_ups_of_a_customer_are_known_at_rest_too_and_of_nobody_there_are_none() -> None:
    customers = with_orders("ann", "bob", "cid")
    customers.take_changes()

    assert [customers.wakes_of(name) for name in ("ann", "cid", "nobody")] == [{7: 1000}, {7: 1002}, {}]


def test_a_tombstone_forgets_a_customer_while_loading_and_so_does_dropping() -> None:
    customers = with_orders("ann", "bob", "cid")
    restored = Customers()
    for key, value in customers.take_changes():
        restored.load(key.removeprefix(PREFIX).decode(), value)
    restored.load("bob", None)
    restored.drop("cid")

    assert restored.ids() == ["ann"]
    assert restored.take_changes() == [(PREFIX + b"cid", None)]


def test_nobody_is_made_up() -> None:
    with pytest.raises(KeyError):
        Customers().change("nobody")
