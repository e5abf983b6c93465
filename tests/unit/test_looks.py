"""Looks: whoever asked for one is looked at once the clock has passed what was asked for."""

from detectors.looks import Looks
from detectors.state import Customer


def customer(name: str) -> Customer:
    return Customer({}, None, id=name, first_ms=0)


def test_a_look_is_taken_once_the_clock_has_passed_the_instant() -> None:
    looks = Looks()
    looks.want(customer("ann"), 10)
    assert looks.take(10) == []
    assert looks.take(11) == ["ann"]
    assert looks.take(12) == []


def test_a_look_at_once_needs_no_clock_to_move() -> None:
    looks = Looks()
    looks.want(customer("ann"))
    assert looks.take(0) == ["ann"]


def test_looks_are_in_the_order_of_the_customers_not_of_time() -> None:
    looks = Looks()
    looks.want(customer("bob"), 1)
    looks.want(customer("ann"), 2)
    assert looks.take(3) == ["ann", "bob"]


def test_what_is_wanted_sooner_wins_and_what_is_wanted_later_changes_nothing() -> None:
    looks, ann = Looks(), customer("ann")
    looks.want(ann, 10)
    looks.want(ann, 20)
    assert ann.look_ms == 10
    looks.want(ann)
    assert looks.take(0) == ["ann"]
