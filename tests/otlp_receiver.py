"""A collector of OpenTelemetry as far as a test needs one: OTLP/HTTP on loopback, and the spans that came."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from aiohttp import web
from http_receiver import Receiver, receiving
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from streams import tracing


@dataclass(frozen=True)
class Got:
    """A span as it came."""

    name: str
    traceparent: str
    """Of the span that it belongs under."""
    kind: int
    began_ns: int
    ended_ns: int
    attributes: Mapping[str, str | int]
    fault: str | None
    """None: all is well."""
    service: Mapping[str, str | int]


@dataclass
class Collector:
    receiver: Receiver

    def spans(self) -> list[Got]:
        return [span for got in self.receiver.got if got.path == "/v1/traces" for span in _spans(got.body)]


@asynccontextmanager
async def collecting(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    """Spans of this process go there at the latest when they are flushed."""
    async with receiving(lambda _: web.Response()) as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url.removesuffix("/hook"))
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        tracing._to_collector.cache_clear()
        try:
            yield Collector(receiver)
        finally:
            tracing._to_collector.cache_clear()


def _spans(body: bytes) -> Iterator[Got]:
    for of_service in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = _plain(of_service.resource.attributes)
        for of_library in of_service.scope_spans:
            for span in of_library.spans:
                yield Got(
                    name=span.name,
                    traceparent=f"00-{span.trace_id.hex()}-{span.parent_span_id.hex()}-01",
                    kind=span.kind,
                    began_ns=span.start_time_unix_nano,
                    ended_ns=span.end_time_unix_nano,
                    attributes=_plain(span.attributes),
                    fault=span.status.message if span.status.code == Status.STATUS_CODE_ERROR else None,
                    service=service,
                )


def _plain(attributes: Iterable[KeyValue]) -> dict[str, str | int]:
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in attributes}
