"""Mapping files: which events rows become, and what is said about each fault of a row and of a file."""

from pathlib import Path
from typing import Any

import pytest
from real_data import MAPPINGS

from schemas.codec import convert_record
from schemas.errors import ContractError
from schemas.instants import parse_instant
from streams.mapping import MappingError, load_mapping, parse_mapping
from streams.row_mapping import RowMapping

BAD = Path(__file__).parents[1] / "mappings_bad"

FAULTS = [
    ("a_list", 1, "a list stands here; a mapping file has a list `events`"),
    ("empty", 1, "the file is empty"),
    ("no_events", 1, "`events` is missing"),
    ("events_is_text", 1, "events: 'order.placed' stands here; a list of events is wanted"),
    ("unknown_section", 1, "`timezone` is not known here; did you mean `time_zone`?"),
    ("unknown_zone", 1, "time_zone: 'Europe/Berln' is not a time zone"),
    ("unknown_encoding", 1, "file.encoding: 'gb18031' is not an encoding"),
    ("delimiter_of_two", 2, "file.delimiter: '::' is not a delimiter; one character is wanted"),
    ("decimal_sign", 1, "is not a decimal sign; allowed are ., ,"),
    ("event_without_type", 2, "events[0]: `type` is missing"),
    ("unknown_type", 2, "events[0].type: 'order.paid' is not an event type; did you mean `order.placed`?"),
    ("unknown_type_in_table", 2, "events[0].type.table.o: 'order.placd' is not an event type"),
    ("type_without_table", 2, "events[0].type: `table` is missing"),
    ("field_of_another_type", 6, "events[0]: `amout` is not a field of login.succeeded"),
    ("required_field_missing", 2, "events[0]: `order_id` is missing: order.placed must have it"),
    ("no_source_of_a_value", 3, "events[0].id: none of them stands here; one of column, constant"),
    ("two_sources_of_a_value", 3, "events[0].id: column and position stands here; one of"),
    ("local_time_without_zone", 5, "events[0].at: a local time needs its `time_zone`"),
    ("format_without_percent", 5, "events[0].at: 'DD.MM.YYYY' is not a format; write rfc3339"),
    ("days_since_when", 6, "events[0].at: the format `days` counts `since` a date"),
    ("time_by_constant", 5, "events[0].at: a time is read from a column"),
    ("table_value_not_allowed", 7, "events[0].priority: 'urgnt' is not a value of this field; did you mean `urgent`?"),
    ("constant_is_no_number", 7, "events[0].amount: 'much' is no number"),
    ("absolute_text", 3, "events[0].id: `absolute` is for a number or integer, and this field is a text"),
    ("other_without_table", 3, "events[0].id: `other` stands for what the `table` does not have"),
    ("condition_is_text", 2, "events[0].when: 'paid' stands here; conditions are wanted"),
    ("path_from_the_record", 3, "events[0].id: '$.a..b' is no path; write one like $.customer.id"),
    ("each_is_no_path", 2, "events[0].each: 'lines[]' is no path to a list; write one like lines"),
    ("divide_by_zero", 7, "events[0].amount.divide_by: '0' stands here; a number above 0 is wanted"),
    ("divided_text", 3, "events[0].id: `divide_by` is for a number or integer, and this field is a text"),
    ("divided_constant", 7, "events[0].amount: `divide_by` is for the number of a `column` or a product"),
    ("unscaled_product", 7, "events[0].amount: `unscaled` stands with its factor: multiply: [a,"),
    ("currency_without_rates", 7, "events[0].amount: `currency` needs `rates`: {column, currency: COLUMN, rates:"),
    ("rates_empty", 7, "events[0].amount.rates: the table is empty; it says what one unit of each currency is worth"),
    ("rate_is_no_number", 7, "events[0].amount.rates.USD: 'much' stands here; a number above 0 is wanted"),
    ("cel_syntax", 1, "skip_when.cel: 'row.op == ' is no CEL expression"),
    ("cel_unknown_name", 2, "events[0].when.cel: \"op == 'u'\" names 'op'; allowed are `row` and `record`"),
    ("cel_unknown_function", 4, "calls 'lower'; allowed are contains, double"),
    ("cel_is_a_number", 1, "skip_when.cel: '1 + 2' is 3; what is true or false is wanted"),
    ("record_format_unknown", 1, "record.format: 'debezum' is not a format; did you mean `debezium`?"),
    ("record_encoding_twice", 3, "record: `encoding` is for the format debezium: the others say what the bytes are"),
    ("condition_unknown", 1, "skip_when.status: `prefx` is not known here; did you mean `prefix`?"),
]
LOGIN = "events: [{type: login.succeeded, id: nr, customer_id: who, at: %s}]"


def mapping(text: str) -> RowMapping:
    return parse_mapping(text.encode())


def one(text: str, **row: Any) -> dict[str, Any]:
    """The one event of a row."""
    (event,) = mapping(text).events(row, "shop.csv:7")
    convert_record(event)
    return event


def refused(text: str, **row: Any) -> ContractError:
    with pytest.raises(ContractError) as caught:
        mapping(text).events(row, "shop.csv:7")
    return caught.value


@pytest.mark.parametrize(("name", "line", "message"), FAULTS)
def test_a_fault_is_told_with_its_line_and_what_is_allowed(name: str, line: int, message: str) -> None:
    with pytest.raises(MappingError) as caught:
        load_mapping(BAD / f"{name}.yaml")
    (fault,) = caught.value.faults
    assert fault.line == line
    assert message in str(fault)


def test_every_bad_file_has_its_test() -> None:
    assert {path.stem for path in BAD.glob("*.yaml")} == {name for name, _, _ in FAULTS} | {"several"}


def test_all_faults_are_told_at_once_in_the_order_of_the_file() -> None:
    with pytest.raises(MappingError) as caught:
        load_mapping(BAD / "several.yaml")
    assert [fault.line for fault in caught.value.faults] == [1, 6, 9]


def test_the_mappings_that_are_deployed_are_in_order() -> None:
    names = {path.name: load_mapping(path).columns for path in sorted(MAPPINGS.glob("*.yaml"))}
    assert "CustomerID" in names["online_retail_lines.yaml"]
    assert not {"resolved_at", "closed_at", "closed_code", "resolved_by"} & set(names["incidents.yaml"])  # they know the future


@pytest.mark.parametrize(
    ("at", "cell", "instant"),
    [
        ("t", "2026-03-01T12:00:00+01:00", "2026-03-01T11:00:00Z"),
        ("{column: t, format: epoch_s}", "1767225600.5", "2026-01-01T00:00:00.500Z"),
        ("{column: t, format: epoch_ms}", 1767225600001, "2026-01-01T00:00:00.001Z"),
        ('{column: t, format: "%d.%m.%Y %H:%M", time_zone: Europe/Berlin}', "01.07.2026 00:30", "2026-06-30T22:30:00Z"),
        ('{column: t, format: "%Y-%m-%d %H:%M", time_zone: Europe/Berlin}', "2026-03-29 02:30", "2026-03-29T01:30:00Z"),
        ('{column: t, format: "%Y-%m-%d %H:%M", time_zone: Europe/Berlin}', "2026-10-25 02:30", "2026-10-25T00:30:00Z"),
        ('{column: t, format: "%Y-%m-%d %H:%M %z"}', "2026-01-01 08:00 +0800", "2026-01-01T00:00:00Z"),
        ("{column: t, format: days, since: 2013-02-01, time_zone: Europe/London}", "-3", "2013-01-29T00:00:00Z"),
    ],
)
def test_times_are_read_as_the_mapping_says(at: str, cell: Any, instant: str) -> None:
    assert one(LOGIN % at, nr="1", who="ann", t=cell)["at_ms"] == parse_instant(instant)


@pytest.mark.parametrize(
    ("decimal", "cell", "amount"),
    [
        (".", "1,234.50", 1234.5),
        (".", " -7 ", -7.0),
        (".", "1e3", 1000.0),
        (",", "1.234,50", 1234.5),
        (",", "0,1", 0.1),
        (",", 1.5, 1.5),  # a number of Excel, whatever its country
    ],
)
def test_numbers_are_read_with_their_decimal_sign(decimal: str, cell: Any, amount: float) -> None:
    text = f'decimal: "{decimal}"\nevents: [{{type: order.placed, id: n, customer_id: c, at: t, order_id: n, amount: a}}]'
    assert one(text, n="1", c="ann", t="2026-01-01T00:00:00Z", a=cell)["amount"] == amount


@pytest.mark.parametrize("cell", ["1.23,4", "1,5 EUR", "nan", "inf", "1e999", "", "12,34,567", "0x10"])
def test_what_is_no_number_is_refused(cell: str) -> None:
    text = "events: [{type: order.placed, id: n, customer_id: c, at: t, order_id: n, amount: a}]"
    error = refused(text, n="1", c="ann", t="2026-01-01T00:00:00Z", a=cell)
    assert error.code == ("missing_field" if not cell else "bad_number")


def test_a_product_is_exact_and_may_lose_its_sign() -> None:
    amount = "{multiply: [q, p], absolute: true}"
    text = f"events: [{{type: order.returned, id: n, customer_id: c, at: t, order_id: n, amount: {amount}}}]"
    event = one(text, n="1", c="ann", t="2026-01-01T00:00:00Z", q="-6", p="2.55")
    assert event["amount"] == 15.3


def test_ids_are_made_of_columns_or_of_the_position() -> None:
    row = {"nr": "1", "part": "b", "who": 17850.0, "t": "2026-01-01T00:00:00Z"}
    event = one("events: [{type: login.succeeded, id: {join: [nr, part], separator: ':'}, customer_id: who, at: t}]", **row)
    assert (event["id"], event["customer_id"]) == ("1:b", "17850")
    assert one("events: [{type: login.succeeded, id: {position: true}, customer_id: who, at: t}]", **row)["id"] == "shop.csv:7"


TICKETS = """\
missing: ["?"]
skip_when:
  - {state: Draft}
  - {number: {prefix: TEST}, priority: {missing: true}}
events:
  - when: {state: {not: [Closed, Solved]}}
    type: {column: state, table: {New: ticket.opened, Work: ticket.updated}}
    id: number
    customer_id: who
    at: t
    ticket_id: number
    priority: {column: priority, table: {P1: urgent}, other: low}
    status: {constant: open}
  - when: {state: Closed}
    type: ticket.resolved
    id: number
    customer_id: who
    at: t
    ticket_id: number
  - when: {state: Closed}
    type: ticket.closed
    id: number
    customer_id: who
    at: t
    ticket_id: number
"""
TICKET = {"number": "T1", "who": "ann", "t": "2026-01-01T00:00:00Z", "priority": "P1"}


def test_a_type_by_table_gives_each_event_only_the_fields_of_its_type() -> None:
    opened, updated = one(TICKETS, **TICKET, state="New"), one(TICKETS, **TICKET, state="Work")
    assert (opened["type"], opened["priority"], "status" in opened) == ("ticket.opened", "urgent", False)
    assert (updated["type"], updated["status"]) == ("ticket.updated", "open")
    assert one(TICKETS, **{**TICKET, "priority": "P9"}, state="New")["priority"] == "low"
    assert "priority" not in one(TICKETS, **{**TICKET, "priority": "?"}, state="New")


def test_a_row_can_be_several_events_or_none() -> None:
    tickets = mapping(TICKETS)
    assert [e["type"] for e in tickets.events({**TICKET, "state": "Closed"})] == ["ticket.resolved", "ticket.closed"]
    assert tickets.events({**TICKET, "state": "Draft"}) == []
    assert tickets.events({**TICKET, "state": "New", "number": "TEST1", "priority": "?"}) == []
    assert len(tickets.events({**TICKET, "state": "New", "number": "TEST1"})) == 1


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"state": "Lost"}, "bad_field", "column 'state' is 'Lost'; allowed are New, Work"),
        ({"state": "?"}, "no_type", "column 'state', which gives the type, is empty"),
        ({"state": "Solved"}, "no_type", "no event of the mapping has a `when` that holds"),
        ({"who": " ? "}, "no_customer", "the row has nothing for `customer_id` of ticket.opened"),
        ({"who": None}, "no_customer", "nothing for `customer_id`"),
        ({"who": ["ann"]}, "bad_field", "column 'who' has a list or an object"),
        ({"t": "yesterday"}, "bad_time", "column 't': 'yesterday' is not an RFC 3339 time"),
        ({"t": ""}, "bad_time", "nothing for `at_ms`"),
        ({"number": ""}, "missing_field", "nothing for `id`"),
    ],
)
def test_a_row_that_cannot_be_read_says_why(changes: dict[str, Any], code: str, words: str) -> None:
    error = refused(TICKETS, **{**TICKET, "state": "New", **changes})
    assert error.code == code
    assert words in error.message
