"""Laws of mappings: compiled functions say what a naive reading of the same file says, and no record is ever an accident."""

import re
from decimal import Decimal
from typing import Any

import orjson
from aiokafka.structs import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from schemas.decisions import DeadLetter
from schemas.errors import CODES, ContractError
from streams.mapping import parse_mapping
from streams.routing import Forward, Terms, route
from streams.source_terms import with_mapping
from streams.sources import Source

NAMES = ["a", "b", "c", "a.b", "No.", "x[0]"]
PATHS = [*NAMES, "b.c", "b.a.c", "c[0]", "c[1].a", "b.c[0]", "$.a", "$.b.c", "$.c[0].b", 'b["a.b"]', "$.a.b", "a[", "b..c"]
leaves = st.none() | st.booleans() | st.integers(-1000, 1000) | st.sampled_from(["", "-", " x ", "7", "1.5", "x", "y"])
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)
WHOLE = {
    "a": "x",
    "b": {"c": "7", "a": {"c": 4}, "a.b": "y", "b": "z"},
    "c": [{"a": "x", "b": {"c": 2}, "No.": 1.5}, {"a": 7, "b": {"c": "y"}, "a.b": "p"}, {"a": "y", "c": [{"a": 3}]}],
    "a.b": "q",
    "No.": 3,
}
"""Mostly readable, so that not every row is a dead letter; up to two of its values are drawn."""
rows = st.dictionaries(st.sampled_from(NAMES), values, max_size=2).map(lambda drawn: {**WHOLE, **drawn})
readable = [path for path in PATHS if not path.startswith("$.") or "[" not in path[2:] or "]" in path]


# --- the naive reading: of the plain YAML, step by step, for each row anew


def looked(path: str, row: Any, record: Any) -> Any:
    if path.startswith("$."):
        return walked(path[2:], record)
    return row[path] if path in row else walked(path, row)


def walked(path: str, found: Any) -> Any:
    if re.fullmatch(r"[^.\[\]\"]+(\.[^.\[\]\"]+|\[\d+\]|\[\"[^\"]+\"\])*", path) is None:
        return None
    for quoted, index, name in re.findall(r'\["([^"]+)"\]|\[(\d+)\]|([^.\[\]"]+)', path):
        if index:
            found = found[int(index)] if isinstance(found, list) and int(index) < len(found) else None
        else:
            found = found.get(quoted or name) if isinstance(found, dict) else None
    return found


class RefusedError(Exception):
    """The row is a dead letter."""


def said(path: str, row: Any, record: Any) -> str | None:
    """The text there; `-` is nothing."""
    found = looked(path, row, record)
    if isinstance(found, (list, dict)):
        raise RefusedError
    if found is None or (isinstance(found, str) and found.strip() in {"", "-"}):
        return None
    return str(found).lower() if isinstance(found, bool) else str(found).strip()


def holds(conditions: dict[str, Any], row: Any, record: Any) -> bool:
    return all(is_met(path, test, row, record) for path, test in conditions.items())


def is_met(path: str, test: Any, row: Any, record: Any) -> bool:
    if isinstance(test, dict):
        if "not" in test:
            return not is_met(path, test["not"], row, record)
        if "missing" in test:
            found = looked(path, row, record)
            nothing = found is None or (isinstance(found, str) and found.strip() in {"", "-"})
            return nothing is test["missing"]
        return (said(path, row, record) or "").startswith(str(test["prefix"]))
    return said(path, row, record) in ([str(one) for one in test] if isinstance(test, list) else [str(test)])


def number(path: str, row: Any, record: Any) -> Decimal | None:
    text = said(path, row, record)
    if text is None:
        return None
    if re.fullmatch(r"[+-]?\d+(\.\d+)?", text) is None:
        raise RefusedError
    return Decimal(text)


def naive(mapping: dict[str, Any], record: dict[str, Any]) -> list[tuple[Any, ...]] | None:
    """The events as (id, customer, feature, count), or None for a dead letter."""
    try:
        if "skip_when" in mapping and holds(mapping["skip_when"], record, record):
            return []
        found = [event for entry in mapping["events"] for event in made(entry, record)]
    except RefusedError:
        return None
    return found if found or any("each" in entry for entry in mapping["events"]) else None


def made(entry: dict[str, Any], record: dict[str, Any]) -> list[tuple[Any, ...]]:
    items = [record]
    if "each" in entry:
        items = looked(entry["each"], record, record)
        items = [] if items is None else items
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise RefusedError
    found: list[tuple[Any, ...]] = []
    for place, item in enumerate(items):
        if "when" in entry and not holds(entry["when"], item, record):
            continue
        customer, feature = said(entry["customer_id"], item, record), said(entry["feature"], item, record)
        count = number(entry["count"]["column"], item, record)
        if count is not None:
            count = abs(count / Decimal(entry["count"]["divide_by"]))
            if count != int(count):
                raise RefusedError
        if customer is None or feature is None:
            raise RefusedError
        found.append((f"t/0/1#{place}" if "each" in entry else "t/0/1", customer, feature, count and int(count)))
    return found


# --- the same mappings, drawn

tests = st.one_of(
    st.sampled_from(["x", "7", "true", ["x", "y", "1.5"]]),
    st.booleans().map(lambda flag: {"missing": flag}),
    st.sampled_from([{"prefix": "1"}, {"not": "x"}, {"not": ["x", "7"]}, {"not": {"missing": True}}]),
)
conditions = st.dictionaries(st.sampled_from(readable), tests, min_size=1, max_size=2)
texts = st.sampled_from(["a", "$.a", "a.b", "$.a.b", "b.c", "No.", "c[1].a", 'b["a.b"]']) | st.sampled_from(readable)
counts = st.sampled_from(["No.", "$.b.c", "b.c", "b.a.c", "$.c[0].b", "b..c"]) | st.sampled_from(readable)
entries = st.fixed_dictionaries(
    {
        "type": st.just("usage.recorded"),
        "id": st.just({"position": True}),
        "at": st.just({"column": "$.at", "format": "epoch_ms"}),
        "customer_id": texts,
        "feature": texts,
        "count": st.fixed_dictionaries(
            {"column": counts, "divide_by": st.sampled_from(["1", "0.5", "2"]), "absolute": st.just(True)}
        ),
    },
    optional={"when": conditions, "each": st.sampled_from(["c", "b.c", "$.c", "b"])},
)
mappings = st.fixed_dictionaries(
    {"missing": st.just(["-"]), "events": st.lists(entries, min_size=1, max_size=2)}, optional={"skip_when": conditions}
)


@given(mappings, rows)
def test_a_compiled_mapping_says_what_a_naive_reading_of_its_file_says(mapping: dict[str, Any], row: dict[str, Any]) -> None:
    record = {**row, "at": 5}
    compiled = parse_mapping(orjson.dumps(mapping))  # JSON is YAML
    assert YAML(typ="safe", pure=True).load(orjson.dumps(mapping)) == mapping
    try:
        events = compiled.events(record, "t/0/1")
        found: list[tuple[Any, ...]] | None = [
            (event["id"], event["customer_id"], event["feature"], event.get("count")) for event in events
        ]
    except ContractError:
        found = None
    assert found == naive(mapping, record)


@given(mappings, rows)
def test_a_mapping_does_not_change_its_row_and_says_the_same_again(mapping: dict[str, Any], row: dict[str, Any]) -> None:
    record, compiled = {**row, "at": 5}, parse_mapping(orjson.dumps(mapping))
    before = orjson.dumps(record)

    def told() -> object:
        try:
            return compiled.events(record, "t/0/1")
        except ContractError as error:
            return error.code, error.message

    assert told() == told()
    assert orjson.dumps(record) == before


headers = st.lists(
    st.tuples(st.sampled_from(["ce_id", "ce_type", "ce_source", "ce_specversion", "content-type", "x"]), st.binary(max_size=8)),
    max_size=6,
)
raw = st.none() | st.binary(max_size=30) | values.map(orjson.dumps)


@given(st.sampled_from(["json", "cloudevents", "debezium"]), mappings, raw, headers)
def test_whatever_bytes_come_they_are_events_or_a_dead_letter_with_a_known_reason(
    form: str, mapping: dict[str, Any], value: bytes | None, given_headers: list[tuple[str, bytes]]
) -> None:
    compiled = parse_mapping(orjson.dumps({**mapping, "record": {"format": form}}))
    terms = with_mapping(Terms(Source("t", "feed"), 4), compiled)
    found = route(ConsumerRecord("t", 0, 1, 9, 0, None, value, None, 0, 0, tuple(given_headers)), terms)
    if isinstance(found, DeadLetter):
        assert found.reason in CODES
        assert (found.value, found.headers) == (value, tuple(given_headers))
    else:
        assert isinstance(found, Forward)
