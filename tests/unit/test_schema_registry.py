"""Records with Confluent's frame: read by the schemas of a registry, which may not have them, or may be down."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pytest
from aiokafka.structs import ConsumerRecord
from confluent_kafka.schema_registry import AsyncSchemaRegistryClient, Schema, SchemaReference
from schema_server import Registry, framed

from schemas.errors import ContractError
from schemas.instants import parse_instant
from streams import schema_registry
from streams.mapping import parse_mapping
from streams.routing import Forward, Terms, route
from streams.schema_registry import Schemas, schema_id
from streams.settings import load_settings
from streams.source_terms import load_terms, with_mapping
from streams.sources import Source, SourcesError

MONEY = {"type": "record", "name": "Money", "fields": [{"name": "amount", "type": {"type": "bytes", "logicalType": "decimal",
                                                                                  "precision": 9, "scale": 2}}]}  # fmt: skip
ORDER = {
    "type": "record",
    "name": "Order",
    "fields": [{"name": "id", "type": "long"}, {"name": "who", "type": ["null", "string"]}, {"name": "total", "type": "Money"}],
}
VALUE = {"id": 7, "who": "ann", "total": {"amount": Decimal("19.99")}}


def avro(value: dict[str, Any]) -> bytes:
    named: dict[str, Any] = {}
    fastavro.parse_schema(MONEY, named_schemas=named)
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(ORDER, named_schemas=named), value)
    return stream.getvalue()


@pytest.fixture
async def known() -> tuple[Schemas, int, int]:
    """Schemas with a registry in this process, and the ids of one in Avro and one of JSON in it."""
    client = AsyncSchemaRegistryClient.new_client({"url": "mock://here"})
    await client.register_schema("money", Schema(json.dumps(MONEY), "AVRO"))
    order = Schema(json.dumps(ORDER), "AVRO", [SchemaReference("Money", "money", 1)])
    return Schemas(client), await client.register_schema("o", order), await client.register_schema("j", Schema("{}", "JSON"))


def refused(schemas: Schemas, value: bytes, encoding: str = "avro") -> ContractError:
    with pytest.raises(ContractError) as caught:
        schemas(value, encoding)
    return caught.value


async def test_a_record_is_read_by_the_schema_that_it_names(known: tuple[Schemas, int, int]) -> None:
    schemas, order, text = known
    records = [framed(order, avro(VALUE)), framed(text, b'{"id": 7}'), None, b"{}"]
    assert await schemas.learn(records)
    assert schemas(framed(order, avro(VALUE)), "avro") == VALUE
    assert schemas(framed(text, b'{"id": 7}'), "json_schema") == {"id": 7}


async def test_what_does_not_fit_its_schema_is_told(known: tuple[Schemas, int, int]) -> None:
    schemas, order, text = known
    await schemas.learn([framed(order, b""), framed(text, b""), framed(99, b"")])
    whole = avro(VALUE)

    assert refused(schemas, framed(order, whole[:-1])).code == "bad_avro"
    assert "1 bytes more than its Avro schema says" in refused(schemas, framed(order, whole + b"\0")).message
    assert refused(schemas, framed(text, b"{"), "json_schema").code == "bad_json"
    assert refused(schemas, b'{"id": 7}').code == "bad_frame"
    assert refused(schemas, b"\0\0\0").code == "bad_frame"
    wrong = refused(schemas, framed(text, whole))
    assert (wrong.code, f"schema {text} is JSON; the mapping says avro" in wrong.message) == ("unknown_schema", True)
    unknown = refused(schemas, framed(99, whole))
    assert (unknown.code, unknown.message) == ("unknown_schema", "schema 99: the registry does not have it")


async def test_any_bytes_are_read_or_refused(known: tuple[Schemas, int, int]) -> None:
    schemas, order, _ = known
    await schemas.learn([framed(order, b"")])
    whole = avro(VALUE)
    codes = set()
    for place in range(len(whole)):
        for byte in (0x00, 0x01, 0x7F, 0x80, 0xFF):
            try:
                found = schemas(framed(order, whole[:place] + bytes([byte]) + whole[place + 1 :]), "avro")
            except ContractError as error:
                codes.add(error.code)
            else:
                assert found.keys() == VALUE.keys()
    assert codes == {"bad_avro"}


@pytest.fixture
async def registry(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Registry, Schemas]]:
    monkeypatch.setattr(schema_registry, "_PAUSES_S", (0.2,))
    found = Registry()
    async with found.serving() as url:
        yield found, Schemas.at(url)


JSON = {"schema": "{}", "schemaType": "JSON"}


async def test_while_the_registry_is_down_records_wait_and_none_is_refused(registry: tuple[Registry, Schemas]) -> None:
    found, schemas = registry
    found.schemas[7], found.down = JSON, True
    waiting = asyncio.create_task(schemas.learn([framed(7, b"{}")]))
    await found.asked_twice.wait()
    assert (waiting.done(), schemas.answered(framed(7, b"{}"))) == (False, False)

    found.down = False
    assert await waiting
    assert (schemas(framed(7, b"{}"), "json_schema"), schemas.answered(framed(7, b"{}"))) == ({}, True)


async def test_a_worker_that_stops_does_not_wait_for_the_registry(registry: tuple[Registry, Schemas]) -> None:
    found, schemas = registry
    found.down = True
    assert not await schemas.learn([framed(7, b"{}")], lambda: False)


async def test_a_schema_is_asked_for_once_and_one_that_is_unknown_again_after_a_while(
    registry: tuple[Registry, Schemas], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, schemas = registry
    found.schemas[7] = JSON
    for _ in range(3):
        await schemas.learn([framed(7, b""), framed(7, b""), framed(8, b"")])
    assert found.asked == [7, 8]

    found.schemas[8] = JSON
    monkeypatch.setattr(schema_registry, "_ASK_AGAIN_S", 0.0)
    await schemas.learn([framed(8, b"")])
    assert schemas(framed(8, b"{}"), "json_schema") == {}


async def test_a_registry_that_cannot_be_reached_at_all_is_waited_for() -> None:
    assert not await Schemas.at("http://127.0.0.1:9").learn([framed(7, b"{}")], lambda: False)


def test_a_frame_is_a_zero_byte_and_four_of_an_id() -> None:
    assert [schema_id(value) for value in (framed(258, b"x"), b"\1\0\0\0\1", b"\0\0\0\1", b"{}")] == [258, None, None, None]


def source(folder: Path, record: str) -> Source:
    path = folder / "orders.yaml"
    path.write_text(f"record: {record}\nevents: [{{type: login.succeeded, id: n, customer_id: c, at: t}}]\n")
    return Source("orders", "orders", path)


def test_a_source_with_schemas_needs_a_registry(tmp_path: Path) -> None:
    with pytest.raises(SourcesError, match="reads records with a schema: CHURN_SCHEMA_REGISTRY_URL must name the registry"):
        load_terms(load_settings(), [source(tmp_path, "{format: debezium, encoding: avro}")])
    with_registry = load_settings(schema_registry_url="mock://here")
    assert load_terms(with_registry, [source(tmp_path, "{format: avro}")]).framed == {"orders"}
    assert load_terms(load_settings(), [source(tmp_path, "{format: debezium}")]).schemas is None


@pytest.mark.parametrize("url", ["registry:8081", "ftp://registry"])
def test_the_address_of_a_registry_is_checked(url: str) -> None:
    with pytest.raises(ValueError, match="CHURN_SCHEMA_REGISTRY_URL"):
        load_settings(schema_registry_url=url)


ENVELOPE = {
    "type": "record",
    "name": "Envelope",
    "fields": [
        {"name": "before", "type": ["null", {"type": "record", "name": "Value", "fields": [
            {"name": "id", "type": "long"},
            {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
            {"name": "placed_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        ]}]},
        {"name": "after", "type": ["null", "Value"]},
        {"name": "op", "type": "string"},
    ],
}  # fmt: skip
CHANGES = """\
record: {format: debezium, encoding: avro}
events:
  - when: {op: c}
    type: order.placed
    id: after.id
    order_id: after.id
    customer_id: after.id
    at: after.placed_at
    amount: {column: after.total, unscaled: 2}
"""


async def test_change_events_in_avro_are_read_with_their_logical_types() -> None:
    client = AsyncSchemaRegistryClient.new_client({"url": "mock://here"})
    number = await client.register_schema("orders-value", Schema(json.dumps(ENVELOPE), "AVRO"))
    placed = {"id": 7, "total": Decimal("19.90"), "placed_at": datetime(2026, 3, 1, tzinfo=UTC)}
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(ENVELOPE), {"before": None, "after": placed, "op": "c"})
    value = framed(number, stream.getvalue())
    schemas = Schemas(client)
    await schemas.learn([value])
    terms = with_mapping(Terms(Source("orders", "orders"), 1), parse_mapping(CHANGES.encode()), schemas)

    found = route(ConsumerRecord("orders", 0, 5, -1, 0, None, value, None, 0, 0, ()), terms)
    assert isinstance(found, Forward)
    (event,) = (json.loads(written.value) for written in found.records)
    assert (event["id"], event["amount"], event["at_ms"]) == ("7", 19.9, parse_instant("2026-03-01T00:00:00Z"))
    assert route(ConsumerRecord("orders", 0, 6, -1, 0, None, None, None, 0, 0, ()), terms) == Forward()
