"""What is said of the difference between two rule sets."""

from pathlib import Path

import pytest

from streams.rules_command import diff_files
from streams.rules_diff import changes_between, places, told
from streams.rules_file import parse_rules

HEAD = "tenant: shop\n"
SILENT = "  - {id: silent, kind: absence, version: 1.0.0, of: [order.placed], for: P90D, tiers: {vip: P60D}}\n"
BURST = "  - {id: burst, kind: count, of: [ticket.opened], at_least: 3, within: P30D}\n"
CRM = "crm: {types: [contact.*]}"
OLD = f"version: '1'\n{HEAD}rules:\n{SILENT}{BURST}"


def difference(new: str, old: str = OLD) -> list[str]:
    return told(changes_between(parse_rules(old.encode()), parse_rules(new.encode()))).splitlines()


def test_the_same_content_is_no_difference() -> None:
    assert difference(OLD) == []
    assert difference(OLD.replace("'1'", '"1"')) == []


def test_a_changed_rule_is_told_with_its_fields_old_and_new() -> None:
    assert difference(OLD.replace("P90D", "P60D").replace("{vip: P60D}", "{vip: P30D, key: P30D}")) == [
        "~ rule silent",
        "    tiers.vip: P60D -> P30D",
        "    tiers.key: none -> P30D",
        "    for: P90D -> P60D",
    ]
    assert difference(OLD.replace("{vip: P60D}", "[vip]")) == ["~ rule silent", '    tiers: {"vip": "P60D"} -> ["vip"]']


def test_an_instant_is_told_as_a_time() -> None:
    assert difference(OLD.replace("within: P30D", "within: P30D, enabled_from: 2026-01-01")) == [
        "~ rule burst",
        "    enabled_from: none -> 2026-01-01T00:00:00Z",
    ]


def test_a_field_that_was_left_out_had_its_default() -> None:
    assert difference(OLD.replace("within: P30D", "within: P30D, severity: high, ack_by: PT4H, mode: shadow")) == [
        "~ rule burst",
        "    severity: warning -> high",
        "    mode: live -> shadow",
        "    ack_by: none -> PT4H",
    ]


def test_rules_that_came_and_rules_that_went() -> None:
    new = OLD.replace(BURST, "  - {id: both, kind: any, rules: [silent, late]}\n" + BURST.replace("burst", "late"))
    assert difference(new) == ["- rule burst (count)", "+ rule both (any)", "+ rule late (count)"]


def test_a_rule_of_another_kind() -> None:
    new = OLD.replace("kind: count", "kind: absence").replace("at_least: 3, within: P30D", "for: P30D")
    assert {"~ rule burst", "    kind: count -> absence", "    for: none -> P30D", "    at_least: 3 -> none"} <= set(
        difference(new)
    )


def test_the_version_of_a_rule_is_told_only_if_it_is_its_own() -> None:
    assert difference(OLD.replace("'1'", "'2'")) == ["~ version: 1 -> 2"]
    assert difference(OLD.replace("1.0.0", "1.1.0")) == ["~ rule silent", "    version: 1.0.0 -> 1.1.0"]
    both = OLD.replace("'1'", "'2'").replace("at_least: 3", "at_least: 4")
    assert difference(both) == ["~ version: 1 -> 2", "~ rule burst", "    at_least: 3 -> 4"]


def test_changed_sections_are_told_down_to_the_value() -> None:
    sections = """\
lifecycle: {silent_after: P30D}
feeds: {orders: {types: [order.*], lateness: PT5M}, tickets: {types: [ticket.*]}}
freeze: ["2026-02-15/2026-02-24"]
churn: {}
"""
    old = OLD.replace(HEAD, f"{HEAD}feeds: {{orders: {{types: [order.*]}}, tickets: {{types: [ticket.*, survey.*]}}, {CRM}}}\n")
    assert difference(OLD.replace(HEAD, HEAD + sections), old) == [
        '~ churn: none -> {"horizon": "P90D", "of": ["order.placed"], "or": []}',
        "~ feeds.orders.lateness: PT0S -> PT5M",
        '~ feeds.tickets.types: ["ticket.*", "survey.*"] -> ["ticket.*"]',
        '~ feeds.crm: {"types": ["contact.*"], "lateness": "PT0S"} -> none',
        "~ lifecycle.silent_after: P45D -> P30D",
        '~ freeze: [] -> ["2026-02-15/2026-02-24"]',
    ]


def test_of_long_lists_only_what_came_and_went_is_told() -> None:
    calendar = "calendars: {a: {time_zone: UTC, weekly: {mon: ['09:00-10:00']}, holidays: [%s]}}\n"
    days = [f"2026-05-{day:02}" for day in range(1, 11)]
    old, new = (OLD.replace(HEAD, HEAD + calendar % ", ".join(some)) for some in (days, [*days[2:], "2026-06-01"]))
    assert difference(new, old) == ["~ calendars.a.holidays: added 2026-06-01; gone 2026-05-01, 2026-05-02"]
    many = OLD.replace(HEAD, HEAD + calendar % "")
    assert difference(old, many) == [
        "~ calendars.a.holidays: added 2026-05-01, 2026-05-02, 2026-05-03, 2026-05-04, 2026-05-05 and 5 more"
    ]


def test_another_order_of_the_rules_is_a_difference_and_a_new_rule_between_them_is_none_of_order() -> None:
    assert difference(OLD.replace(SILENT + BURST, BURST + SILENT)) == [
        '~ order of the rules: ["silent", "burst"] -> ["burst", "silent"]'
    ]
    between = BURST.replace("burst", "other")
    assert difference(OLD.replace(SILENT + BURST, SILENT + between + BURST)) == ["+ rule other (count)"]


def test_places_are_the_sections_and_rules() -> None:
    new = OLD.replace("'1'", "'2'").replace("P90D", "P60D").replace("P60D}", "P61D}")
    assert places(changes_between(parse_rules(OLD.encode()), parse_rules(new.encode()))) == ["version", "rule silent"]


@pytest.mark.parametrize(("text", "count"), [(OLD, 0), (OLD.replace("P90D", "P60D"), 1)])
def test_two_files_are_compared_for_people_and_for_machines(tmp_path: Path, text: str, count: int) -> None:
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text(OLD, encoding="utf-8")
    other.write_text(text, encoding="utf-8")
    found = diff_files(one, other)
    assert found.as_json()["changes"] == [{"place": ["rules", "silent", "for"], "old": "P90D", "new": "P60D"}][:count]
    assert str(found) == (
        f"from {one} to {other}:\n~ rule silent\n    for: P90D -> P60D" if count else f"{one} and {other} are the same"
    )
