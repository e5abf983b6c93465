"""Mappings of nested records: paths, an event of each item of a list, CEL conditions, units and currencies."""

import base64
import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from schemas.codec import convert_record
from schemas.errors import ContractError
from schemas.instants import parse_instant
from streams.mapping import parse_mapping
from streams.mapping_paths import first_step, getter

ROW = {
    "customer": {"id": 7, "tags": ["vip", "b2b"]},
    "a.b": "a column",
    "a": {"b": "a path"},
    "lines": [{"price": "2.50"}, {"price": "3", "due.date": "soon"}],
    "empty.cell": None,
    "empty": {"cell": "never seen"},
    "Price [EUR]": 12,
    "No.": 3,
}


def events(text: str, row: dict[str, Any], position: str = "orders/0/17") -> list[dict[str, Any]]:
    found = parse_mapping(text.encode()).events(row, position)
    for event in found:
        convert_record(event)
    return found


def refused(text: str, row: dict[str, Any]) -> ContractError:
    with pytest.raises(ContractError) as caught:
        parse_mapping(text.encode()).events(row, "orders/0/17")
    return caught.value


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("customer.id", 7),
        ("customer.tags[1]", "b2b"),
        ("lines[0].price", "2.50"),
        ('lines[1]["due.date"]', "soon"),
        ("a.b", "a column"),  # what the row has under the whole name counts first
        ("$.a.b", "a path"),
        ("empty.cell", None),
        ("Price [EUR]", 12),
        ("No.", 3),
        ("customer.name", None),
        ("customer.id.digits", None),
        ("customer[0]", None),
        ("lines.price", None),
        ("lines[2].price", None),
        ("nobody.id", None),
        ("lines[0]price", None),  # no path, and no column either
    ],
)
def test_a_name_is_a_column_or_else_a_path_and_a_missing_step_is_nothing(path: str, found: object) -> None:
    assert getter(path)(ROW, ROW) == found


def test_a_table_must_have_the_column_that_a_path_begins_in() -> None:
    assert [first_step(name) for name in ("customer.id", "$.a[0]", "lines[].price", "No.")] == ["customer", "a", "lines", "No"]


LINES = """\
events:
  - type: order.placed
    id: nr
    order_id: nr
    customer_id: customer.id
    at: created
    amount: total
  - each: refunds
    when: {$.kind: sale, kind: {not: [shipping]}}
    type: order.returned
    id: {join: [$.nr, id]}
    order_id: $.nr
    customer_id: $.customer.id
    at: at
    amount: money.amount
"""
SALE = {"nr": "A1", "kind": "sale", "customer": {"id": "ann"}, "created": "2026-03-01T00:00:00Z", "total": 30}


def refund(number: int, kind: str = "goods") -> dict[str, Any]:
    return {"id": number, "kind": kind, "at": "2026-03-02T00:00:00Z", "money": {"amount": number * 1.5}}


def test_each_item_of_a_list_makes_an_event_that_may_look_at_the_record() -> None:
    found = events(LINES, {**SALE, "refunds": [refund(1), refund(2, "shipping"), refund(3)]})
    #  the order, then one event for each refund that is not of shipping
    assert [(e["type"], e["id"], e["customer_id"], e["amount"]) for e in found] == [
        ("order.placed", "A1", "ann", 30.0),
        ("order.returned", "A1-1", "ann", 1.5),
        ("order.returned", "A1-3", "ann", 4.5),
    ]


@pytest.mark.parametrize("refunds", [{}, {"refunds": None}, {"refunds": []}])
def test_a_list_that_is_not_there_or_empty_makes_no_event(refunds: dict[str, Any]) -> None:
    assert [event["type"] for event in events(LINES, {**SALE, **refunds})] == ["order.placed"]


def test_a_record_without_an_item_is_ignored_where_only_items_make_events() -> None:
    only_items = "events: [{each: logins, type: login.succeeded, id: n, customer_id: $.who, at: t}]"
    assert events(only_items, {"who": "ann"}) == []


@pytest.mark.parametrize(
    ("refunds", "words"),
    [
        ({"id": 1}, "'refunds' is \"{'id': 1}\"; `each` wants a list of objects there"),
        ([refund(1), "two"], "refunds[1] is 'two'; an object is wanted"),
    ],
)
def test_a_list_that_is_none_is_told(refunds: object, words: str) -> None:
    error = refused(LINES, {**SALE, "refunds": refunds})
    assert (error.code, words in error.message) == ("bad_field", True)


def test_items_have_positions_of_their_own() -> None:
    text = "events: [{each: logins, type: login.succeeded, id: {position: true}, customer_id: $.who, at: t}]"
    at = "2026-03-01T00:00:00Z"
    found = events(text, {"who": "ann", "logins": [{"t": at}, {"t": at}]})
    assert [event["id"] for event in found] == ["orders/0/17#0", "orders/0/17#1"]


def test_what_a_mapping_reads_names_items_by_their_list() -> None:
    columns = parse_mapping(LINES.encode()).columns
    assert {"customer.id", "refunds", "refunds[].money.amount", "nr", "kind", "refunds[].kind"} <= set(columns)
    assert not [name for name in columns if name.startswith("$")]


CHANGES = """\
skip_when: {cel: "row.op == 'r' && row.source.snapshot == 'old'"}
events:
  - when: {cel: "row.op in ['c', 'r'] || (row.op == 'u' && row.before.customer == null)"}
    type: order.placed
    id: ts
    order_id: after.id
    customer_id: after.customer
    at: {column: ts, format: epoch_ms}
    amount: after.total
  - when: {cel: "row.after.total < row.before.total", op: u}
    type: order.corrected
    id: ts
    order_id: after.id
    customer_id: after.customer
    at: {column: ts, format: epoch_ms}
    amount: after.total
"""


def change(op: str, before: Any, after: Any, **source: Any) -> dict[str, Any]:
    return {"op": op, "before": before, "after": after, "source": source, "ts": 1}


GUEST, ANN = {"id": 1, "customer": None, "total": 9}, {"id": 1, "customer": "ann", "total": 9}


@pytest.mark.parametrize(
    ("row", "types"),
    [
        (change("c", None, ANN), ["order.placed"]),
        (change("r", None, ANN, snapshot="new"), ["order.placed"]),
        (change("r", None, ANN, snapshot="old"), []),
        (change("u", GUEST, ANN), ["order.placed"]),
        (change("u", ANN, {**ANN, "total": 8.5}), ["order.corrected"]),
        (change("u", {**GUEST, "total": 10}, ANN), ["order.placed", "order.corrected"]),
    ],
)
def test_expressions_choose_what_a_record_is(row: dict[str, Any], types: list[str]) -> None:
    assert [event["type"] for event in events(CHANGES, row)] == types


def test_an_expression_that_cannot_be_evaluated_does_not_hold() -> None:
    assert refused(CHANGES, change("u", {"customer": "ann"}, ANN)).code == "no_type"  # before has no total
    assert refused(CHANGES, change("u", {**ANN, "total": "9"}, ANN)).code == "no_type"  # text is below no number


@pytest.mark.parametrize(
    ("cel", "holds"),
    [
        ("row.lines.exists(line, line.price > 5)", True),
        ("row['a.b'] == 'x'", True),
        ("has(row.nothing)", False),
        ("row.amount == 1.5 && row.day == '2026-01-02'", True),
        ("record.amount < 2", True),
        ("row.amount + 1 > 0", False),  # CEL does not add whole numbers to others, so this is unknown
        ("size(row.lines) == 2 && row.note == ''", True),  # `missing` does not hold for CEL
    ],
)
def test_expressions_see_the_record_as_it_stands(cel: str, *, holds: bool) -> None:
    text = f'events: [{{when: {{cel: "{cel}"}}, type: login.succeeded, id: n, customer_id: n, at: t}}]'
    row = {
        "n": 1,
        "t": "2026-01-01T00:00:00Z",
        "a.b": "x",
        "note": "",
        "amount": Decimal("1.5"),
        "day": dt.date(2026, 1, 2),
        "lines": [{"price": 1}, {"price": 7.5}],
    }
    if holds:
        assert len(events(text, row)) == 1
    else:
        assert refused(text, row).code == "no_type"


@pytest.mark.parametrize(
    ("at", "cell", "instant"),
    [
        ("{column: t, format: epoch_us}", 1767225600123456, "2026-01-01T00:00:00.123Z"),
        ("{column: t, format: epoch_ns}", "1767225600123456789", "2026-01-01T00:00:00.123Z"),
        ("{column: t, format: epoch_s}", 1767225600, "2026-01-01T00:00:00Z"),
        ("{column: t, format: days, since: 1970-01-01, time_zone: UTC}", 20454, "2026-01-01T00:00:00Z"),
        ("{column: t, time_zone: Europe/Berlin}", "2026-07-01T00:30:00", "2026-06-30T22:30:00Z"),
        ("{column: t, time_zone: Europe/Berlin}", "2026-07-01 00:30:00.25", "2026-06-30T22:30:00.250Z"),
        ("{column: t, time_zone: Europe/Berlin}", "2026-07-01T00:30:00+08:00", "2026-06-30T16:30:00Z"),
        ("t", dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "2026-01-01T00:00:00Z"),
    ],
)
def test_units_of_time_and_local_rfc_3339(at: str, cell: Any, instant: str) -> None:
    text = f"events: [{{type: login.succeeded, id: n, customer_id: n, at: {at}}}]"
    (event,) = events(text, {"n": 1, "t": cell})
    assert event["at_ms"] == parse_instant(instant)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("2026-07-01T00:30:00", "column 't' is a local time; the mapping must name its `time_zone`"),
        ("2026-13-01T00:30:00", "column 't' is '2026-13-01T00:30:00', which is not a time: month must be in 1..12"),
        ("1 July", "column 't': '1 July' is not an RFC 3339 time with an offset"),
    ],
)
def test_a_time_that_names_no_instant_is_told(cell: str, words: str) -> None:
    error = refused("events: [{type: login.succeeded, id: n, customer_id: n, at: t}]", {"n": 1, "t": cell})
    assert (error.code, words in error.message) == ("bad_time", True)


def amount(how: str, **row: Any) -> Any:
    text = f"events: [{{type: order.returned, id: n, customer_id: n, at: t, order_id: n, amount: {how}}}]"
    (event,) = events(text, {"n": 1, "t": "2026-01-01T00:00:00Z", **row})
    return event.get("amount")


def amount_refused(how: str, **row: Any) -> ContractError:
    text = f"events: [{{type: order.returned, id: n, customer_id: n, at: t, order_id: n, amount: {how}}}]"
    return refused(text, {"n": 1, "t": "2026-01-01T00:00:00Z", **row})


def unscaled(number: int) -> str:
    return base64.b64encode(number.to_bytes((number.bit_length() + 8) // 8, "big", signed=True)).decode()


@pytest.mark.parametrize(
    ("how", "cell", "found"),
    [
        ("{column: a, divide_by: 100}", 1999, 19.99),
        ("{column: a, divide_by: 100, absolute: true}", "-5", 0.05),
        ("{column: a, unscaled: 2}", unscaled(1999), 19.99),
        ("{column: a, unscaled: 4}", unscaled(-12), -0.0012),
        ("{column: a, unscaled: 0}", unscaled(10**30), 1e30),
        ("{column: a, unscaled: 2}", b"\xff", -0.01),
        ("{column: a, unscaled: 2}", {"scale": 1, "value": unscaled(39)}, 3.9),  # it brings its own scale
        ("{column: a, unscaled: 2}", Decimal("7.25"), 7.25),  # Avro's decoder has read it already
        ("{column: a, unscaled: 2}", None, None),
    ],
)
def test_units_of_money_are_exact(how: str, cell: Any, found: float | None) -> None:
    assert amount(how, a=cell) == found


@pytest.mark.parametrize("cell", ["19.99", "", 5, "====", {"value": "AQ=="}, b"x" * 40])
def test_what_is_no_unscaled_decimal_is_refused(cell: Any) -> None:
    assert amount_refused("{column: a, unscaled: 2}", a=cell or "!").code == "bad_number"


def test_a_factor_may_be_an_unscaled_decimal() -> None:
    assert amount("{multiply: [q, {column: p, unscaled: 2}]}", q=6, p=unscaled(255)) == 15.3
    assert amount("{multiply: [q, {column: p, unscaled: 2}]}", q=6, p=None) is None
    assert amount_refused("{multiply: [q, {column: p, unscaled: 2}]}", q=6, p="2.55").code == "bad_number"


RATES = "{column: a, currency: money.code, rates: {EUR: 1, USD: 0.92, JPY: 0.0058}}"


def test_a_table_of_rates_makes_one_currency_of_all() -> None:
    assert amount(RATES, a=10, money={"code": "EUR"}) == 10.0
    assert amount(RATES, a="19.99", money={"code": " USD "}) == float(Decimal("19.99") * Decimal("0.92"))
    assert amount("{multiply: [a, q], currency: c, rates: {JPY: 0.0058}, divide_by: 10}", a=3, q=500, c="JPY") == 0.87
    assert amount(RATES, a=None, money={"code": "GBP"}) is None


@pytest.mark.parametrize(
    ("money", "words"), [({"code": "GBP"}, "is 'GBP'; there are rates for EUR, USD, JPY"), ({}, "is empty")]
)
def test_an_amount_in_an_unknown_currency_is_refused(money: dict[str, str], words: str) -> None:
    error = amount_refused(RATES, a=10, money=money)
    assert (error.code, words in error.message) == ("unknown_currency", True)
