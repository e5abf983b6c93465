"""The file of routes: what it makes, and what is said about each fault."""

from datetime import time
from pathlib import Path
from typing import Any

import pytest

from schemas.instants import HOUR_MS
from schemas.secret import Secret
from sinks.local_hours import DAY_MINUTES, QuietHours
from sinks.routes import Budget, LinkTerms, Manners, Routes, StormLimit
from streams.routes_common import FileAt
from streams.routes_file import RoutesFileError, load_routes, parse_routes, routes_of
from streams.settings import load_settings

TESTS = Path(__file__).parents[1]
BAD = TESTS / "routes_bad"
EXAMPLE = TESTS.parent / "deploy" / "routes.example.yaml"

FAULTS = [
    ("a_list", 1, "a list stands here; a file of routes is a mapping: language,"),
    ("empty", 1, "the file is empty"),
    ("not_yaml", 2, "not YAML: "),
    ("no_destinations", 1, "`destinations` is missing"),
    ("no_routes", 1, "`routes` is missing"),
    ("routes_empty", 5, "routes: a list stands here; a list of routes is wanted, like [{to: [NAME]}]"),
    ("routes_is_a_mapping", 5, "routes: a mapping stands here; a list of routes is wanted"),
    ("unknown_section", 5, "`persons` is not known here; allowed are language,"),
    ("unknown_language", 5, "language: 'fr' is not a language; allowed are en, zh"),
    ("unknown_zone", 5, "time_zone: 'Mars' is not a time zone: write an IANA name"),
    ("destination_is_text", 2, "destinations.pager: 'slack' stands here; a destination is a mapping with `kind`"),
    ("destination_without_kind", 2, "destinations.pager: `kind` is missing; allowed are webhook, alertmanager, slack"),
    ("unknown_kind", 2, "destinations.pager.kind: 'slak' is not a kind of destination; did you mean `slack`?"),
    ("key_of_another_kind", 2, "destinations.pager: `server` is not known here"),
    ("required_key_missing", 2, "destinations.pager: `url` is missing"),
    ("name_with_a_slash", 3, "destinations.a/b: 'a/b' is not a name: at most 100 characters, and no `/` or `*`"),
    ("named_owner", 3, "destinations.owner: `owner` means the owner of an alert: choose another name"),
    ("named_twice", 6, "people.room: 'room' is a destination as well: whom would a route mean?"),
    ("secret_in_clear", 2, "destinations.pager.url: a secret does not stand here itself: write env:NAME"),
    ("secret_is_a_list", 2, "destinations.pager.url: a secret does not stand here itself: write env:NAME"),
    ("machine_with_quiet_hours", 2, "destinations.pager.quiet: a system is told of everything at once, at any hour"),
    ("machine_with_a_budget", 2, "destinations.pager.budget: a system is told of everything at once, at any hour"),
    ("machine_with_storms", 2, "destinations.pager.storms: a system is told of everything at once, at any hour"),
    ("quiet_is_text", 2, "destinations.pager.quiet: 'sat-sun' stands here; a list is wanted"),
    ("quiet_in_words", 2, "quiet[0]: 'at night' is not a time of a week; write 22:00-07:00, sat-sun or fri 18:00-24:00"),
    ("quiet_on_no_day", 2, "quiet[0]: 'sam-son' names no day; days are mon,"),
    ("quiet_for_no_time", 2, "quiet[0]: '09:00-09:00' is no time at all; a whole day is 00:00-24:00"),
    ("quiet_at_25", 2, "quiet[0]: '25:00' is not a time of day; write it like 09:00"),
    ("quiet_always", 2, "quiet: it is quiet at 09:00 on every day, when the digest comes: choose another `digest`"),
    ("quiet_at_every_digest", 6, "quiet: it is quiet at 06:00 on every day, when the digest comes"),
    ("digest_in_words", 2, "digest: '9am' is not a time of day; write it like 09:00"),
    ("digest_at_24", 2, "digest: 24:00 stands here; the first minute of a day is 00:00"),
    ("wake_for_anything", 2, "wake_for[0]: 'all' is not a severity; allowed are info,"),
    ("budget_without_a_number", 2, "budget: `at_once` is missing"),
    ("budget_below_zero", 2, "budget.at_once: '-1' stands here; a whole number from 0 to 100000 is wanted"),
    ("person_without_via", 6, "people.ann: `via` is missing"),
    ("person_via_nobody", 6, "people.ann.via: 'male' is not a destination of this file; did you mean `mail`?"),
    ("person_via_a_system", 6, "people.ann.via: 'pager' is a system (alertmanager), which no person reads"),
    ("person_without_address", 6, "people.ann: `address` is missing: by email everybody has one"),
    ("person_with_an_address_in_a_room", 6, "people.ann.address: by slack nobody has an address: leave it out"),
    ("route_to_nobody", 6, "routes[0]: `to` is missing"),
    ("route_to_an_empty_list", 6, "routes[0].to: the list has 0 entries; at least 1 is wanted"),
    (
        "route_to_a_stranger",
        6,
        "routes[0].to[0]: 'pagr' is neither a destination nor a person of this file; did you mean `pager`?",
    ),
    ("route_to_mail_without_address", 6, "routes[0].to[0]: 'mail' has no `address`: give it one, or name people"),
    ("route_to_the_owner_of_nothing", 6, "routes[0].to: `owner` names nobody: there is no section `people`"),
    ("route_otherwise_without_owner", 8, "routes[0].otherwise: this goes with `owner` in `to`"),
    ("route_otherwise_to_the_owner", 8, "routes[0].otherwise[0]: 'owner' is neither a destination nor a person"),
    ("route_by_unknown_severity", 6, "routes[0].severity[0]: 'hihg' is not a severity; did you mean `high`?"),
    ("route_by_unknown_condition", 6, "routes[0]: `customer` is not known here; allowed are severity, tier, rule, owner,"),
    ("route_continue_in_words", 6, "routes[0].continue: 'maybe' stands here; `true` or `false` is wanted"),
    ("route_never_asked", 7, "routes[1]: is never asked: a route above takes everything, and has no `continue: true`"),
    ("storm_without_a_limit", 7, "storms.rules.slow: `customers` or `share` is missing"),
    ("mail_without_certificates", 3, "mail_without_certificates.yaml cannot be read: it holds no certificate in PEM"),
    ("storm_share_above_one", 7, "storms.share: '5' is out of range; a number above 0 and up to 1 is wanted"),
    ("storm_within_months", 7, "storms.within: 'P1M' is a calendar duration; an exact one is wanted here"),
    ("links_without_secret", 7, "links: `secret` is missing"),
    ("links_to_no_address", 7, "links.url: 'churn.example.com' is no address; write where people reach the door"),
    ("links_valid_for_weeks", 7, "links.valid: 'P2W' counts weeks"),
    ("templates_nowhere", 7, "templates: there is no "),
]
PAGER = "destinations: {pager: {kind: alertmanager, url: 'https://a.example.com'}, room: {kind: slack, url: 'env:ROOM', %s}}\n"
TO_ALL = "routes: [{to: [pager, room]}]\n"


@pytest.mark.parametrize(("name", "line", "message"), FAULTS, ids=[name for name, _, _ in FAULTS])
def test_each_fault_is_told_with_its_line_and_what_is_allowed(name: str, line: int, message: str) -> None:
    with pytest.raises(RoutesFileError) as refused:
        load_routes(BAD / f"{name}.yaml", reads_secrets=False)
    (fault,) = refused.value.faults
    assert fault.line == line
    assert message in str(fault)
    assert "hunter2" not in str(refused.value)


def test_every_bad_file_has_its_test() -> None:
    assert {path.stem for path in BAD.glob("*.yaml")} == {name for name, _, _ in FAULTS}


def parsed(more: str = TO_ALL, room: str = "", **secrets: Any) -> Routes:
    file = FileAt(Path(), reads_secrets=bool(secrets))
    return parse_routes((PAGER % room + more).encode(), "routes.yaml", file)


def test_the_example_loads_without_its_secrets() -> None:
    routes = load_routes(EXAMPLE, reads_secrets=False)
    assert sorted(routes.recipients) == ["ann", "ben", "erp", "pager", "room"]
    ann, ben, room = (routes.recipients[name] for name in ("ann", "ben", "room"))
    assert (ann.destination, ann.address, ann.is_person, ann.zone.key) == ("mail", "ann@example.com", True, "Asia/Shanghai")
    assert (ann.manners.budget, ann.manners.digest) == (Budget(at_once=10, above=500), time(9, 30))
    assert (ben.zone.key, ben.manners.budget, room.manners.budget) == ("Europe/Berlin", Budget(at_once=0), None)
    assert routes.storm_limit("no-order-30d") == StormLimit(HOUR_MS, 1000)
    assert routes.storm_limit("another") == StormLimit(HOUR_MS, 200, 0.05)
    assert routes.links == LinkTerms("https://churn.example.com", (Secret(None, "env:LINK_SECRET"),), 7 * 24 * HOUR_MS)
    assert [(route.number, route.to) for route in routes.routes][1:] == [(2, ("owner",)), (3, ("erp",))]


def test_without_a_word_about_storms_two_hundred_customers_within_the_hour_are_one() -> None:
    assert parsed().storm_limit("any") == StormLimit(HOUR_MS, 200)
    assert parsed(TO_ALL + "storms: {within: PT2H}").storm_limit("any") == StormLimit(2 * HOUR_MS, 200)
    routes = parsed(TO_ALL + "storms: {share: 0.1, within: PT2H, rules: {slow: {customers: 5}}}")
    assert routes.storm_limit("any") == StormLimit(2 * HOUR_MS, None, 0.1)
    assert routes.storm_limit("slow") == StormLimit(2 * HOUR_MS, 5)


@pytest.mark.parametrize(
    ("quiet", "spans"),
    [
        ('["22:00-07:00"]', [(day * DAY_MINUTES + 1320, day * DAY_MINUTES + 1860) for day in range(7)]),
        ("[sat-sun]", [(5 * DAY_MINUTES, 7 * DAY_MINUTES)]),
        ("[sun-mon]", [(6 * DAY_MINUTES, 8 * DAY_MINUTES)]),
        ("[wed]", [(2 * DAY_MINUTES, 3 * DAY_MINUTES)]),
        (
            '["fri 18:00-24:00", "mon-fri 12:00-13:00"]',
            [
                (4 * DAY_MINUTES + 1080, 5 * DAY_MINUTES),
                *((day * DAY_MINUTES + 720, day * DAY_MINUTES + 780) for day in range(5)),
            ],
        ),
    ],
)
def test_quiet_hours_are_written_by_day_by_hours_or_both(quiet: str, spans: list[tuple[int, int]]) -> None:
    assert parsed(room=f"quiet: {quiet}").recipients["room"].manners == Manners(quiet=QuietHours.of(spans))


def test_who_wants_a_digest_alone_gets_at_once_only_what_is_critical() -> None:
    assert parsed(room='digest: "08:15"').recipients["room"].manners == Manners(digest=time(8, 15), budget=Budget(0))
    both = parsed(room='digest: "08:15", budget: {at_once: 3}').recipients["room"].manners
    assert both == Manners(digest=time(8, 15), budget=Budget(3))


def test_people_are_reached_if_a_route_names_owners_or_them() -> None:
    people = "people: {ann: {via: room}, bob: {via: room}}\n"
    assert sorted(parsed(people + "routes: [{to: [pager]}]").recipients) == ["pager"]
    assert sorted(parsed(people + "routes: [{to: [pager, ann]}]").recipients) == ["ann", "pager"]
    assert sorted(parsed(people + "routes: [{to: [owner], otherwise: [pager]}]").recipients) == ["ann", "bob", "pager"]


def test_secrets_are_read_when_sinks_are_to_be_made_and_a_missing_one_is_a_fault_of_its_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ROOM", raising=False)
    with pytest.raises(RoutesFileError, match=r"line 1: destinations\.room\.url: the variable ROOM has no secret"):
        parsed(secrets=True)
    monkeypatch.setenv("ROOM", "https://hooks.example.com/hunter2")
    assert "hunter2" not in repr(parsed(secrets=True))


def test_all_faults_are_told_at_once_in_the_order_of_the_file() -> None:
    text = "time_zone: Mars\ndestinations:\n  room: {kind: slak}\npeople:\n  ann: {via: rom}\nroutes:\n  - {to: [ann, bob]}\n"
    with pytest.raises(RoutesFileError) as refused:
        parse_routes(text.encode(), "routes.yaml")
    assert [(fault.line, fault.place) for fault in refused.value.faults] == [
        (1, "time_zone"),
        (3, "destinations.room.kind"),
        (5, "people.ann.via"),
        (7, "routes[0].to[1]"),
    ]


def test_an_installation_without_a_file_tells_nobody(tmp_path: Path) -> None:
    assert routes_of(load_settings()) is None
    with pytest.raises(FileNotFoundError):
        routes_of(load_settings(routes=tmp_path / "none.yaml"))
