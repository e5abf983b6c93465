"""Which recipients a route reaches."""

import pytest
from plan_run import machine, person, record

from schemas.decisions import AlertRecord
from sinks.routes import Route, Routes, StormLimit, rule_id

ROOM = person("room", is_person=False)
FILE = {one.name: one for one in (machine(), ROOM, person("ann"), person("bob"))}


def reached(alert: AlertRecord, *routes: Route) -> list[tuple[int, tuple[str, ...]]]:
    return [(route.number, names) for route, names in Routes({}, FILE, routes).hits(alert)]


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({}, True),
        ({"severity": frozenset(["critical"])}, False),
        ({"severity": frozenset(["critical", "high"])}, True),
        ({"tier": frozenset(["gold"])}, True),
        ({"tier": frozenset(["silver"])}, False),
        ({"rule": ("reply-*",)}, True),
        ({"rule": ("no-*", "reply-?h")}, True),
        ({"rule": ("reply",)}, False),
        ({"rule": ("reply-8h@1",)}, False),  # ids have no versions here
        ({"owner": frozenset(["ann"])}, True),
        ({"owner": frozenset(["bob"])}, False),
        ({"owner": frozenset(["ann"]), "tier": frozenset(["silver"])}, False),
    ],
)
def test_all_conditions_of_a_route_hold_for_what_it_takes(conditions: dict[str, frozenset[str]], *, holds: bool) -> None:
    alert = record(rule="reply-8h@1", tier="gold", owner="ann")
    assert Route(1, 1, ("room",), **conditions).matches(alert) == holds  # type: ignore[arg-type]


def test_the_first_route_that_holds_ends_the_search_unless_it_goes_on() -> None:
    first, second, third = Route(1, 1, ("erp",), goes_on=True), Route(2, 2, ("room",)), Route(3, 3, ("ann",))
    assert reached(record(), first, second, third) == [(1, ("erp",)), (2, ("room",))]


def test_the_owner_is_the_person_of_that_name_and_somebody_else_where_there_is_none() -> None:
    route = Route(1, 1, ("erp", "owner"), otherwise=("room",))
    assert reached(record(owner="bob"), route) == [(1, ("erp", "bob"))]
    for owner in (None, "eve", "room"):  # a destination is nobody's name
        assert reached(record(owner=owner), route) == [(1, ("erp", "room"))]


def test_a_rule_has_its_own_limit_of_a_storm() -> None:
    routes = Routes({}, {}, (), StormLimit(1, 200), {"slow": StormLimit(1, 1000)})
    assert [routes.storm_limit(rule) for rule in ("slow", "other")] == [StormLimit(1, 1000), StormLimit(1, 200)]


def test_a_rule_is_known_by_its_id() -> None:
    assert [rule_id(record(rule=rule)) for rule in ("a@1", "feed", "a@b@2")] == ["a", "feed", "a@b"]
