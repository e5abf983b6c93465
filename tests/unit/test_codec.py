"""What the codec refuses: with which code, and with which words."""

import ast
import math
from pathlib import Path

import pytest

from schemas.codec import convert_record, decode_decision, decode_heartbeat, decode_line, decode_record, encode
from schemas.control import CONTROL_TYPES, FeedGap, Tick
from schemas.errors import CODES, ContractError, UnknownType
from schemas.events import EVENT_TYPES, OrderPlaced, SourcePosition, TicketOpened
from schemas.model_quality import ModelQuality
from schemas.models import ModelDocument
from schemas.progress import Heartbeat

PACKAGES = [Path(__file__).parents[2] / name for name in ("schemas", "detectors", "sinks", "streams")]
ORDER = '{"type":"order.placed","id":"1","customer_id":"c","at_ms":5,"order_id":"o","amount":1.5}'


def order(**fields: object) -> dict[str, object]:
    return {"type": "order.placed", "id": "1", "customer_id": "c", "at_ms": 5, "order_id": "o", "amount": 1.5, **fields}


@pytest.mark.parametrize(
    ("value", "code", "words"),
    [
        (b"", "bad_json", "not JSON"),
        (b"{", "bad_json", "not JSON"),
        (b'{"type":"tick","at_ms":1} x', "bad_json", "trailing"),
        (b"null", "not_an_object", "got `null`"),
        (b"[1]", "not_an_object", "got `array`"),
        (b"{}", "no_type", "there is no `type`"),
        (b'{"type":null}', "no_type", "like 'order.placed'"),
        (b'{"type":"order.plaecd"}', "unknown_type", "did you mean 'order.placed'?"),
        (b'{"type":"zzz"}', "unknown_type", "events are alert.acked, "),
        (b'{"type":"tick","at_ms":1,"x":"\xff"', "bad_utf8", "not UTF-8"),
        (b'\xef\xbb\xbf{"type":"tick","at_ms":1}', "bad_json", "byte 0"),
        (ORDER.replace("1.5", "NaN").encode(), "bad_json", "not JSON"),
        (ORDER.replace("1.5", "Infinity").encode(), "bad_json", "not JSON"),
        (ORDER.replace("1.5", "1e999").encode(), "bad_number", "`amount`: a finite number is wanted"),
        (ORDER.replace("1.5", "-1e999").encode(), "bad_number", "`amount`: a finite number is wanted"),
        (ORDER.replace("1.5", '"1.5"').encode(), "bad_field", "`amount`: expected `float`, got `str`"),
        (ORDER.replace(',"amount":1.5', "").encode(), "missing_field", "there is no `amount`"),
        (ORDER.replace('"id":"1"', '"id":""').encode(), "bad_field", "`id`: expected `str` of length >= 1"),
        (ORDER.replace('"c"', '""').encode(), "no_customer", "with 1 to 512 characters"),
        (ORDER.replace('"c"', "null").encode(), "no_customer", "got `null`"),
        (ORDER.replace('"c"', "7").encode(), "no_customer", "got `int`"),
        (ORDER.replace('"customer_id":"c",', "").encode(), "no_customer", "there is no `customer_id`"),
        (ORDER.replace('"c"', f'"{"c" * 513}"').encode(), "no_customer", "length <= 512"),
        (ORDER.replace(":5", ":-1").encode(), "bad_time", "milliseconds since 1970"),
        (ORDER.replace(":5", ":5.5").encode(), "bad_time", "got `float`"),
        (ORDER.replace(":5", ":7258118400000").encode(), "bad_time", "<= 7258118399999"),
        (ORDER.replace(":5", ':"2026-01-01T00:00:00Z"').encode(), "bad_time", "got `str`"),
        (ORDER.replace("1.5", '1,"items":-1').encode(), "bad_field", "`items`: expected `int` >= 0"),
        (ORDER.replace("1.5", '1,"src":["t",0,0]').encode(), "bad_field", "`src`: expected `array`"),
        (ORDER.replace("1.5", '1,"src":["t",0,0,-1]').encode(), "bad_field", "`src[3]`"),
        (ORDER.replace("1.5", f'1,"x":{"[" * 100_000}{"]" * 100_000}').encode(), "bad_json", "nested too deeply"),
        (b'{"type":"tick","at_ms":1,"marks_ms":{"orders":-5}}', "bad_field", "expected `int` >= 0"),
        (
            b'{"type":"feed.changed","at_ms":1,"source":"a","since_ms":1,"status":"dad"}',
            "bad_field",
            "allowed are live, lagging",
        ),
        (b'{"type":"feed.gap","at_ms":1,"source":"a","from_ms":2,"until_ms":2}', "bad_field", "comes after `from_ms`"),
    ],
)
def test_a_record_that_breaks_the_contract_is_refused_with_a_code_and_the_place(value: bytes, code: str, words: str) -> None:
    with pytest.raises(ContractError) as refused:
        decode_record(value)
    assert refused.value.code == code
    assert words in refused.value.message


@pytest.mark.parametrize("field", ["priority", "category"])
def test_a_word_that_is_none_of_the_allowed_ones_is_answered_with_these(field: str) -> None:
    ticket = {"type": "ticket.opened", "id": "1", "customer_id": "c", "at_ms": 1, "ticket_id": "t", field: "?"}
    with pytest.raises(ContractError, match=rf"`{field}`: invalid enum value '\?'; allowed are \w+, \w+, \w+"):
        convert_record(ticket)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused_in_plain_objects_too(number: float) -> None:
    with pytest.raises(ContractError, match="`amount`: a finite number") as refused:
        convert_record(order(amount=number))
    assert refused.value.code == "bad_number"


def test_a_number_that_is_not_finite_is_refused_inside_a_published_document() -> None:
    score = '{"kind":"score","id":"r","version":"1","above":1e999,"clear_below":0.5}'
    document = f'{{"version":"1","tenant":"t","rules":[{score}]}}'
    value = f'{{"type":"rules.published","at_ms":1,"version":"1","revision":0,"document":{document}}}'
    with pytest.raises(ContractError, match=r"`document\.rules\[0\]\.above`: a finite number") as refused:
        decode_record(value.encode())
    assert refused.value.code == "bad_document"


def test_the_lists_of_a_model_are_as_long_as_each_other() -> None:
    quality = ModelQuality(examples=0, churned=0, log_loss=0, base_log_loss=0, auc=0.5)
    with pytest.raises(ValueError, match="'weights': 2"):
        ModelDocument(
            name="m",
            features=["a"],
            mean=[0.0],
            scale=[1.0],
            weights=[1.0, 2.0],
            intercept=0,
            horizon_ms=1,
            usable=False,
            quality=quality,
            trained_until_offset=-1,
            library="river 0.26",
        )


def test_an_unknown_type_is_an_error_of_its_own() -> None:
    with pytest.raises(UnknownType):
        decode_record(b'{"type":"order.shipped"}')


def test_defaults_are_left_out_and_fields_stand_in_the_order_of_their_definition() -> None:
    record = OrderPlaced(
        order_id="o",
        amount=2.0,
        at_ms=0,
        customer_id="c",
        id="1",
        src=SourcePosition("t", 0, 1, 2),
    )
    assert encode(record) == (
        b'{"type":"order.placed","id":"1","customer_id":"c","at_ms":0,"src":["t",0,1,2,0],"order_id":"o","amount":2.0}'
    )
    ticket = TicketOpened(id="1", customer_id="c", at_ms=0, ticket_id="t")
    assert encode(ticket) == b'{"type":"ticket.opened","id":"1","customer_id":"c","at_ms":0,"ticket_id":"t"}'


def test_maps_are_written_sorted_by_key() -> None:
    assert encode(Tick(at_ms=1, marks_ms={"z": None, "a": 1})) == b'{"type":"tick","at_ms":1,"marks_ms":{"a":1,"z":null}}'


def test_text_with_half_a_character_is_refused_when_it_is_written() -> None:
    with pytest.raises(ContractError) as refused:
        encode(convert_record(order(order_id="\ud83d")))
    assert refused.value.code == "bad_utf8"


def test_a_line_of_a_file_may_name_its_time_as_text() -> None:
    line = b'{"type":"login.succeeded","id":"1","customer_id":"c","at":"1970-01-01T01:00:00+01:00"}'
    assert decode_line(line).at_ms == 0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (b'"at":"1970-01-01T00:00:00Z","at_ms":0', "keep one"),
        (b'"at":"1970-01-01"', "with an offset"),
        (b'"at":"1969-12-31T23:59:59Z"', "milliseconds since 1970"),
        (b'"at":0', "not an RFC 3339 time"),
    ],
)
def test_a_line_whose_time_is_unclear_is_refused(fields: bytes, words: str) -> None:
    with pytest.raises(ContractError, match=words) as refused:
        decode_line(b'{"type":"login.succeeded","id":"1","customer_id":"c",' + fields + b"}")
    assert refused.value.code == "bad_time"


@pytest.mark.parametrize("line", [b'{"at":1', b'{"at":"\xff"}', b'["at"]'])
def test_a_line_that_is_no_object_is_refused_like_any_record(line: bytes) -> None:
    with pytest.raises(ContractError) as of_line:
        decode_line(line)
    with pytest.raises(ContractError) as of_record:
        decode_record(line)
    assert of_line.value.code == of_record.value.code


def test_decisions_and_heartbeats_have_decoders_of_their_own() -> None:
    with pytest.raises(ContractError, match=r"'order\.placed'"):
        decode_decision(ORDER.encode())
    with pytest.raises(ContractError, match="there is no `feed`"):
        decode_heartbeat(b"{}")
    report = Heartbeat(feed="orders", topic="o", partition=0, partitions=1, generation=3, position=7, caught_up=True)
    assert decode_heartbeat(encode(report)) == report


def test_a_span_without_time_is_refused() -> None:
    with pytest.raises(ValueError, match="comes after"):
        FeedGap(at_ms=0, source="orders", from_ms=5, until_ms=5)


def test_no_type_is_both_an_event_and_a_control_record() -> None:
    assert set(EVENT_TYPES).isdisjoint(CONTROL_TYPES)
    assert (len(EVENT_TYPES), len(CONTROL_TYPES)) == (28, 7)


def codes_raised() -> set[str]:
    """Every code that our code names where it raises a ContractError, or keeps as its `CODE`."""
    found: set[str] = set()
    for path in (path for package in PACKAGES for path in package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="ContractError"), args=[ast.Constant(value=str(code)), *_]):
                    found.add(code)
                case ast.AnnAssign(target=ast.Name(id="CODE"), value=ast.Constant(value=str(code))):
                    found.add(code)
                case _:
                    pass
    return found


def test_every_code_that_is_raised_stands_in_the_one_list() -> None:
    raised = codes_raised()
    assert "bad_predicate" in raised
    assert raised - set(CODES) == set()
