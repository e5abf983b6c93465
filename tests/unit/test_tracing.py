"""Spans are made of records in sampled traces, only where somebody asked for them, and hold nobody up."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest
from aiohttp import web
from http_receiver import Got, receiving
from opentelemetry.trace import SpanKind
from otlp_receiver import collecting

from streams import tracing
from streams.settings import SettingsError, load_settings
from streams.tracing import Spans, Tracing, tracing_of
from streams.version import VERSION

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
HEADERS = [("traceparent", SAMPLED.encode())]


async def test_a_record_of_a_sampled_trace_has_a_span_under_the_one_that_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=shop")
    async with collecting(monkeypatch) as collector:
        making = tracing_of(load_settings(tracing=True))
        before_ns = time.time_ns()
        spans = making.begin("ingest")
        spans.add(HEADERS, "orders", 3, 41)
        spans.add(HEADERS, "orders", 3, 42, fault="bad_json")
        spans.end()
        await making.flush(10)
        taken, refused = sorted(collector.spans(), key=lambda span: str(span.attributes["messaging.kafka.offset"]))

    assert (taken.name, taken.traceparent, taken.fault) == ("ingest orders", SAMPLED, None)
    assert taken.attributes == {
        "messaging.system": "kafka",
        "messaging.destination.name": "orders",
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": 41,
    }
    assert before_ns <= taken.began_ns <= taken.ended_ns <= time.time_ns()
    assert refused.fault == "bad_json"
    assert taken.service.items() >= {"service.name": "churnwatch", "service.version": VERSION}.items()
    assert taken.service["deployment.environment.name"] == "shop"


@pytest.mark.parametrize("flags", ["00", "02", "fe"])
async def test_a_trace_that_its_beginner_does_not_want_kept_has_no_spans(monkeypatch: pytest.MonkeyPatch, flags: str) -> None:
    async with collecting(monkeypatch) as collector:
        making = tracing_of(load_settings(tracing=True))
        spans = making.begin("detect")
        spans.add([("traceparent", f"{SAMPLED[:-2]}{flags}".encode())], "churn.events", 0, 0)
        spans.add([("traceparent", b"00-not-one")], "churn.events", 0, 1)
        spans.add([("other", b"x")], "churn.events", 0, 2)
        spans.end()
        await making.flush(10)

        assert collector.spans() == []


async def test_a_span_of_a_recipient_has_its_name_and_one_of_the_door_is_a_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    async with collecting(monkeypatch) as collector:
        making = tracing_of(load_settings(tracing=True))
        for spans in (making.begin("deliver", "crm"), making.begin("door")):
            spans.add(HEADERS, "t")
            spans.end()
        await making.flush(10)

        kinds = {span.name: span.kind for span in collector.spans()}
    # As OTLP numbers them: one more than the library does.
    assert kinds == {"deliver crm": SpanKind.CONSUMER.value + 1, "door t": SpanKind.SERVER.value + 1}


async def test_what_was_begun_and_failed_has_no_span(monkeypatch: pytest.MonkeyPatch) -> None:
    async with collecting(monkeypatch) as collector:
        making = tracing_of(load_settings(tracing=True))
        making.begin("detect").add(HEADERS, "churn.events", 0, 0)
        await making.flush(10)

        assert collector.spans() == []


async def test_a_collector_that_does_not_answer_holds_up_neither_work_nor_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Event()

    async def never(_: Got) -> web.Response:
        asked.set()
        await asyncio.Event().wait()
        return web.Response()

    async with collecting(monkeypatch), receiving(never) as silent:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", silent.url)
        making = tracing_of(load_settings(tracing=True))
        spans = making.begin("detect")
        for offset in range(5_000):  # more than are kept
            spans.add(HEADERS, "churn.events", 0, offset)
        spans.end()
        await asked.wait()
        began_s = time.monotonic()
        await making.flush(0.05)

        assert time.monotonic() - began_s < 5


async def test_nobody_asked_nothing_is_made() -> None:
    making = tracing_of(load_settings())
    spans = making.begin("ingest")
    spans.add(HEADERS, "orders", 0, 0)
    spans.end()
    await making.flush()

    assert type(spans) is Spans
    assert type(making) is Tracing


def test_who_does_not_trace_does_not_load_the_library() -> None:
    loaded = "import sys, streams.ingest, streams.detect, streams.dispatch, streams.door; print('opentelemetry' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )

    assert run.stdout == "False\n"


def test_without_the_library_the_settings_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tracing._to_collector.cache_clear()
    monkeypatch.delitem(sys.modules, "streams.otlp_spans", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)

    with pytest.raises(SettingsError, match=r"CHURN_TRACING needs an extra .*pip install 'churnwatch\[tracing\]'"):
        tracing_of(load_settings(tracing=True))


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_an_address_that_is_none_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    tracing._to_collector.cache_clear()
    monkeypatch.setenv(name, "collector:4317")

    with pytest.raises(SettingsError, match=f"^{name} begins with neither http:// nor https://"):
        tracing_of(load_settings(tracing=True))
