"""Spans over OTLP/HTTP by OpenTelemetry's own library, which sends them in a thread of its own."""

from typing import Final

from aiokafka.structs import ConsumerRecord
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from streams.traces import Headers, traceparent_of
from streams.tracing import Spans, Stage
from streams.version import VERSION
from streams.wallclock import now_ns


class OtlpSpans:
    """Sends what `OTEL_EXPORTER_OTLP_...`, `OTEL_BSP_...`, `OTEL_SERVICE_NAME` and their like say, to where they say."""

    def __init__(self) -> None:
        ours = Resource({"service.name": "churnwatch", "service.version": VERSION})
        # The process ends without Python's own end, so there is no exit to hook into.
        self._provider = TracerProvider(resource=ours.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("churnwatch", VERSION)

    def begin(self, stage: Stage, whom: str) -> Spans:
        """Of a batch that begins now."""
        return _Batch(self._tracer, stage, whom)

    def flush(self) -> None:
        """Send what has gathered, which may take as long as the exporter tries."""
        self._provider.force_flush()


class _Batch(Spans):
    def __init__(self, tracer: Tracer, stage: Stage, whom: str) -> None:
        self._tracer = tracer
        self._stage = stage
        self._whom = whom
        self._began_ns = now_ns()
        self._open: list[Span] = []

    def add(
        self, headers: Headers, topic: str, partition: int | None = None, offset: int | None = None, *, fault: str = ""
    ) -> None:
        parent = _sampled(traceparent_of(headers))
        if parent is None:
            return
        attributes: dict[str, str | int] = {"messaging.system": "kafka", "messaging.destination.name": topic}
        if partition is not None:
            attributes["messaging.destination.partition.id"] = str(partition)
        if offset is not None:
            attributes["messaging.kafka.offset"] = offset
        span = self._tracer.start_span(
            f"{self._stage} {self._whom or topic}",
            set_span_in_context(NonRecordingSpan(parent)),
            SpanKind.SERVER if self._stage == "door" else SpanKind.CONSUMER,
            attributes,
            start_time=self._began_ns,
        )
        if fault:
            span.set_status(Status(StatusCode.ERROR, fault))
        self._open.append(span)

    def add_record(self, record: ConsumerRecord, headers: Headers = (), *, fault: str = "") -> None:
        self.add(headers or record.headers, record.topic, record.partition, record.offset, fault=fault)

    def end(self) -> None:
        ended_ns = now_ns()
        for span in self._open:
            span.end(ended_ns)
        self._open.clear()


_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


def _sampled(traceparent: bytes | None) -> SpanContext | None:
    """The span that a record was made in; None: of no trace, or whoever began the trace does not want it kept."""
    if traceparent is None:
        return None
    _, trace_id, span_id, flags = traceparent.split(b"-")
    if not int(flags, 16) & TraceFlags.SAMPLED:
        return None
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=_SAMPLED)
