"""Records with Confluent's frame: a schema of a registry says what their bytes are, in Avro or JSON Schema.

Reading a record never waits: the schemas that some records name are asked for before any of them is read.
"""

import asyncio
import io
import itertools
import json
import math
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import fastavro
import structlog
from confluent_kafka.schema_registry import AsyncSchemaRegistryClient, Schema
from confluent_kafka.schema_registry.error import SchemaRegistryError
from httpx2 import HTTPError

from schemas.errors import ContractError
from streams.record_formats import json_object

_FRAME: Final = struct.Struct(">bI")
_KINDS: Final[Mapping[str, str]] = {"avro": "AVRO", "json_schema": "JSON"}
_NOT_FOUND: Final = 404
_AVRO_FAULTS: Final = (EOFError, LookupError, ValueError, TypeError, struct.error, ArithmeticError)
"""Whatever the library meets in bytes that are something else."""
_UNREACHABLE: Final = (SchemaRegistryError, HTTPError, OSError)
_ASK_AGAIN_S: Final = 10.0
"""An id that the registry did not have may have come since; but it is not asked for with every record."""
_PAUSES_S: Final = (0.5, 1, 2, 5, 10)
_LOOK_S: Final = 0.2

log = structlog.get_logger("churn.ingest")


@dataclass(frozen=True, slots=True)
class _Known:
    """A schema, as far as records need it."""

    kind: str
    read: Callable[[bytes], dict[str, Any]]


class Schemas:
    """The schemas that were asked for, each once.

    Args:
        client: of the registry.
        where: it is, for the log.
    """

    def __init__(self, client: AsyncSchemaRegistryClient, where: str = "") -> None:
        self._client = client
        self._where = where
        self._known: dict[int, _Known] = {}
        self._refused: dict[int, tuple[float, str]] = {}
        """When an id was asked for, by the loop's clock, and why it cannot be used."""
        self._is_down = False

    @classmethod
    def at(cls, url: str) -> "Schemas":
        """Those of a registry; `mock://` is one in this process."""
        parts = urlsplit(url)
        return cls(AsyncSchemaRegistryClient.new_client({"url": url, "max.retries": 0, "timeout": 5}), parts.hostname or url)

    def __call__(self, value: bytes, encoding: str) -> dict[str, Any]:
        """The object in a record.

        Raises:
            ContractError: no frame, a schema that is not known or of another kind, or bytes that do not fit it.
        """
        number = schema_id(value)
        if number is None:
            raise ContractError("bad_frame", "the record does not begin with a zero byte and the four bytes of a schema's id")
        known = self._known.get(number)
        if known is None:
            _, why = self._refused.get(number, (0, "was not asked for"))
            raise ContractError("unknown_schema", f"schema {number}: {why}")
        if known.kind != _KINDS[encoding]:
            raise ContractError("unknown_schema", f"schema {number} is {known.kind}; the mapping says {encoding}")
        return known.read(value[_FRAME.size :])

    async def learn(self, values: Iterable[bytes | None], go_on: Callable[[], bool] = lambda: True) -> bool:
        """Ask for the schemas that records name and nobody asked for yet; wait while the registry does not answer.

        Args:
            values: of the records.
            go_on: asked while it waits.

        Returns:
            Whether every one was answered; else `go_on` said no.
        """
        named = {number for value in values if value is not None and (number := schema_id(value)) is not None}
        for number in sorted(named - self._known.keys()):
            if self._is_fresh(number):
                continue
            self._refused.pop(number, None)
            if not await self._answered(number, go_on):
                return False
        return True

    def _is_fresh(self, number: int) -> bool:
        """Whether the registry said a short while ago that it does not have a schema."""
        asked_s, _ = self._refused.get(number, (-math.inf, ""))
        return asyncio.get_running_loop().time() - asked_s < _ASK_AGAIN_S

    def answered(self, value: bytes) -> bool:
        """Whether the registry has said what it knows of the schema that a record names."""
        number = schema_id(value)
        return number is None or number in self._known or number in self._refused

    async def close(self) -> None:
        """Let go of the registry."""
        await self._client.aclose()

    async def _answered(self, number: int, go_on: Callable[[], bool]) -> bool:
        for pause_s in itertools.chain(_PAUSES_S, itertools.repeat(_PAUSES_S[-1])):
            try:
                await self._ask(number)
            except _UNREACHABLE as error:
                self._told(error)
            else:
                self._told(None)
                return True
            for _ in range(round(pause_s / _LOOK_S)):
                if not go_on():
                    return False
                await asyncio.sleep(_LOOK_S)
        raise AssertionError  # pauses go on for ever

    def _told(self, error: Exception | None) -> None:
        """Log that the registry does not answer, and that it does again; not each time that it is asked."""
        if error is not None and not self._is_down:
            log.warning("ingest.registry_unreachable", registry=self._where, error=repr(error))
        elif error is None and self._is_down:
            log.info("ingest.registry_answers", registry=self._where)
        self._is_down = error is not None

    async def _ask(self, number: int) -> None:
        now_s = asyncio.get_running_loop().time()
        try:
            schema = await self._client.get_schema(number)
            self._known[number] = await self._read(schema)
            self._refused.pop(number, None)
        except SchemaRegistryError as error:
            if error.http_status_code != _NOT_FOUND:
                raise
            self._refused[number] = (now_s, "the registry does not have it")
        except (fastavro.schema.SchemaParseException, fastavro.schema.UnknownType, ValueError) as error:
            self._refused[number] = (now_s, f"it cannot be read: {error!r}"[:200])

    async def _read(self, schema: Schema) -> _Known:
        if schema.schema_type != "AVRO":
            return _Known(str(schema.schema_type), json_object)
        named: dict[str, Any] = {}
        return _Known("AVRO", _avro_reader(await self._parsed(schema, named)))

    async def _parsed(self, schema: Schema, named: dict[str, Any]) -> Any:  # noqa: ANN401 - a schema of the library
        """With the schemas that it refers to, which are parsed first."""
        for reference in schema.references or ():
            found = await self._client.get_version(str(reference.subject), int(reference.version or 0))
            if found.schema is not None:
                await self._parsed(found.schema, named)
        return fastavro.parse_schema(json.loads(schema.schema_str or "null"), named_schemas=named)


def schema_id(value: bytes) -> int | None:
    """The id in a record's frame; None if it has none.

    >>> schema_id(bytes([0, 0, 0, 1, 2, 123, 125]))
    258
    """
    if len(value) < _FRAME.size:
        return None
    magic, number = _FRAME.unpack_from(value)
    return None if magic else int(number)


def _avro_reader(schema: Any) -> Callable[[bytes], dict[str, Any]]:  # noqa: ANN401 - a schema of the library
    def read(payload: bytes) -> dict[str, Any]:
        stream = io.BytesIO(payload)
        try:
            found = fastavro.schemaless_reader(stream, schema, None)
        except _AVRO_FAULTS as error:
            raise ContractError("bad_avro", f"the record is not what its Avro schema says: {error!r}"[:300]) from None
        if stream.tell() != len(payload):
            left = len(payload) - stream.tell()
            raise ContractError("bad_avro", f"the record has {left} bytes more than its Avro schema says")
        if not isinstance(found, dict):
            raise ContractError("not_an_object", "a mapping reads records of Avro, and the schema is of something else")
        return found

    return read
