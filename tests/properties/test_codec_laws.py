"""Laws of the codec: what is written is read back the same, and is written the same again."""

from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import CONTROL_STRUCTS, DECISION_STRUCTS, EVENT_STRUCTS, LEDGER_STRUCTS, STRUCTS, structs

from schemas.codec import convert_record, decode_decision, decode_heartbeat, decode_ledger, decode_line, decode_record, encode
from schemas.errors import CODES, ContractError
from schemas.instants import format_instant


def decode(struct: type[Any], value: bytes) -> Any:
    if struct in DECISION_STRUCTS:
        return decode_decision(value)
    if struct in LEDGER_STRUCTS:
        return decode_ledger(value)
    return decode_record(value) if struct in (*EVENT_STRUCTS, *CONTROL_STRUCTS) else decode_heartbeat(value)


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: str(struct.__name__))
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_every_record_comes_back_as_it_went_and_is_written_the_same_again(struct: type[Any], data: st.DataObject) -> None:
    record = data.draw(structs(struct))
    value = encode(record)
    back = decode(struct, value)
    assert back == record
    assert type(back) is struct
    assert encode(back) == value


@pytest.mark.parametrize("struct", EVENT_STRUCTS, ids=lambda struct: str(struct.__name__))
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_plain_objects_and_lines_of_a_file_make_the_same_record_as_bytes(struct: type[Any], data: st.DataObject) -> None:
    record = data.draw(structs(struct))
    plain = orjson.loads(encode(record))
    assert convert_record(plain) == record
    assert decode_line(encode(record)) == record
    plain["at"] = format_instant(plain.pop("at_ms"))
    assert decode_line(orjson.dumps(plain)) == record


@given(st.sampled_from(EVENT_STRUCTS), st.data())
@settings(max_examples=50, deadline=None)
def test_fields_that_this_release_does_not_know_are_ignored(struct: type[Any], data: st.DataObject) -> None:
    record = data.draw(structs(struct))
    plain = orjson.loads(encode(record))
    assert decode_record(orjson.dumps({"of_the_future": {"a": [1]}, **plain})) == record


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(EVENT_STRUCTS), st.data(), PLAIN)
@settings(max_examples=200, deadline=None)
def test_any_value_in_any_field_is_read_or_refused_with_a_code_of_the_list(
    struct: type[Any], data: st.DataObject, value: object
) -> None:
    plain = msgspec.to_builtins(data.draw(structs(struct)))
    plain[data.draw(st.sampled_from(sorted(plain)))] = value
    assert read_or_refused(plain) is None or decode_record(encode(convert_record(plain))) == convert_record(plain)


def read_or_refused(plain: object) -> object:
    """The record; None if it was refused in the way that refusals are."""
    refused: ContractError | None = None
    try:
        return convert_record(plain)
    except ContractError as error:
        refused = error
    assert refused.code in CODES
    assert refused.message
    return None


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
@settings(max_examples=300)
def test_no_bytes_make_a_decoder_fail_otherwise_than_with_a_contract_error(value: bytes) -> None:
    for read in (decode_record, decode_line, decode_decision, decode_heartbeat):
        try:
            read(value)
        except ContractError as refused:
            assert refused.code in CODES  # noqa: PT017 - most of these bytes are refused, but a few are a record
