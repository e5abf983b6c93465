"""The JSON Schema files: as the structs are, valid, and of one mind with the codec."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schema_readers import READERS
from strategies import CONTROL_STRUCTS, DECISION_STRUCTS, EVENT_STRUCTS, LEDGER_STRUCTS, structs

from schemas.codec import encode
from schemas.control import CalendarPublished, ModelPublished, RulesPublished
from schemas.errors import ContractError
from schemas.events import Event
from schemas.instants import format_instant
from schemas.json_schema import DIRECTORY, NAMES, examples, rendered, schema
from schemas.model_pin import ModelPin
from schemas.progress import Arrivals, Heartbeat, SourceEpoch

STRUCTS_BY_NAME: dict[str, tuple[type[msgspec.Struct], ...]] = {
    "alerts": DECISION_STRUCTS[0:1],
    "risk": DECISION_STRUCTS[1:2],
    "lifecycle": DECISION_STRUCTS[2:3],
    "examples": DECISION_STRUCTS[3:4],
    "erasures": DECISION_STRUCTS[4:5],
    "control": (RulesPublished, CalendarPublished, ModelPublished),
    "events": (*EVENT_STRUCTS, *CONTROL_STRUCTS),
    "source": EVENT_STRUCTS,
    "progress": (Heartbeat,),
    "arrivals": (Arrivals,),
    "source_epochs": (SourceEpoch,),
    "model_pins": (ModelPin,),
    "deliveries": LEDGER_STRUCTS,
}
CASES = [(name, struct) for name, all_structs in sorted(STRUCTS_BY_NAME.items()) for struct in all_structs]
VALIDATORS = {name: Draft202012Validator(schema(name)) for name in STRUCTS_BY_NAME}


def test_the_committed_files_are_what_the_structs_say() -> None:
    committed = {path.name: path.read_bytes() for path in DIRECTORY.iterdir()}
    assert committed == rendered(), "make them anew: python -m schemas.json_schema"


@pytest.mark.parametrize("name", NAMES)
def test_each_example_is_valid_and_what_the_codec_writes(name: str) -> None:
    found = examples(name)
    assert schema(name)["examples"] == found
    for example in found:
        assert [error.message for error in VALIDATORS[name].iter_errors(example)] == []
        record = READERS[name](json.dumps(example).encode())
        assert isinstance(record, STRUCTS_BY_NAME[name]) or name == "control"
        assert name == "source" or json.loads(encode(record)) == example


@pytest.mark.parametrize(("name", "struct"), CASES, ids=lambda case: getattr(case, "__name__", case))
def test_every_kind_of_record_has_an_example(name: str, struct: type[msgspec.Struct]) -> None:
    assert any(type(READERS[name](json.dumps(example).encode())) is struct for example in examples(name))


@pytest.mark.parametrize("name", ["alerts", "risk", "lifecycle", "examples", "erasures", "deliveries", "progress", "source"])
def test_every_field_stands_in_an_example(name: str) -> None:
    common = set(Event.__struct_fields__) if name == "source" else set()
    for struct in STRUCTS_BY_NAME[name]:
        of_kind = [each for each in examples(name) if each.get("type") == struct.__struct_config__.tag]
        fields = {field.encode_name for field in msgspec.structs.fields(struct)} - common
        assert sorted(fields - {field for each in of_kind for field in each}) == []


def test_every_schema_is_tested() -> None:
    assert sorted(STRUCTS_BY_NAME) == sorted(NAMES)


@pytest.mark.parametrize("name", sorted(VALIDATORS))
def test_every_file_is_a_valid_schema_that_stands_by_itself(name: str) -> None:
    plain = json.loads(rendered()[f"{name}.json"])
    Draft202012Validator.check_schema(plain)
    references = set(json.dumps(plain).split('"$ref": "')[1:])
    assert all(reference.split('"')[0].removeprefix("#/$defs/") in plain["$defs"] for reference in references)
    assert plain["title"]


@pytest.mark.parametrize(("name", "struct"), CASES, ids=lambda case: getattr(case, "__name__", case))
@given(data=st.data())
@settings(max_examples=5, deadline=None)
def test_what_the_codec_writes_is_valid(name: str, struct: type[msgspec.Struct], data: st.DataObject) -> None:
    plain = json.loads(encode(data.draw(structs(struct))))
    assert [error.message for error in VALIDATORS[name].iter_errors(plain)] == []


@given(st.sampled_from(EVENT_STRUCTS), st.data())
@settings(max_examples=30, deadline=None)
def test_a_source_event_may_name_its_time_as_text(struct: type[msgspec.Struct], data: st.DataObject) -> None:
    plain = json.loads(encode(data.draw(structs(struct))))
    both = {**plain, "at": format_instant(plain["at_ms"])}
    text = {key: value for key, value in both.items() if key != "at_ms"}
    assert VALIDATORS["source"].is_valid(text)
    assert not VALIDATORS["source"].is_valid(both)
    assert not VALIDATORS["events"].is_valid(text)


def required(struct: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(struct) if field.required]


WRONG: tuple[Any, ...] = (None, "", [], {}, True, -1e999, {"a": [None]})


@pytest.mark.parametrize(
    ("name", "struct"), [case for case in CASES if required(case[1])], ids=lambda case: getattr(case, "__name__", case)
)
@given(data=st.data())
@settings(max_examples=5, deadline=None)
def test_what_the_schema_refuses_the_codec_refuses_too(name: str, struct: type[msgspec.Struct], data: st.DataObject) -> None:
    plain = json.loads(encode(data.draw(structs(struct))))
    field = data.draw(st.sampled_from(required(struct)))
    bad = {**plain, field: data.draw(st.sampled_from(WRONG))}
    assert VALIDATORS[name].is_valid(bad) or not is_read(name, bad)
    missing = {key: value for key, value in plain.items() if key != field}
    assert not VALIDATORS[name].is_valid(missing)
    assert not is_read(name, missing)


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("events", {"type": "order.shipped", "id": "1", "customer_id": "c", "at_ms": 1}),
        ("events", {"type": "login.succeeded", "id": "1", "customer_id": "", "at_ms": 1}),
        ("events", {"type": "login.succeeded", "id": "1", "customer_id": "c", "at_ms": -1}),
        ("events", {"type": "login.succeeded", "id": "1", "customer_id": "c", "at_ms": 1, "src": ["t", 0, 0]}),
        ("source", {"type": "tick", "at_ms": 1}),
        ("source", {"type": "login.succeeded", "id": "1", "customer_id": "c"}),
        ("source", {"type": "login.succeeded", "id": "1", "customer_id": "c", "at": 5}),
        ("control", {"type": "rules.published", "at_ms": 1, "version": "1", "revision": 0, "document": {"version": "1"}}),
        ("risk", {"type": "risk", "customer_id": "c", "sequence": 0, "at_ms": 1, "band": "low", "basis": "model"}),
        ("progress", []),
    ],
)
def test_schema_and_codec_refuse_the_same_records(name: str, bad: Any) -> None:
    assert not VALIDATORS[name].is_valid(bad)
    if bad != {"type": "tick", "at_ms": 1}:  # that a source may not send control records is for ingest to say
        assert not is_read(name, bad)


def is_read(name: str, plain: object) -> bool:
    try:
        READERS[name](json.dumps(plain).replace("-Infinity", "-1e999").encode())
    except ContractError:
        return False
    return True
