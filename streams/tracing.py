"""Spans of what was done with records that belong to a sampled trace; nothing at all where nobody asked for them."""

import asyncio
import contextlib
import importlib
import os
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Final, Literal, Protocol

from aiokafka.structs import ConsumerRecord

from streams.settings import Settings, SettingsError, variable
from streams.traces import Headers

Stage = Literal["door", "ingest", "detect", "deliver"]

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_FLUSH_WITHIN_S: Final = 1.0


class Spans:
    """The spans of one batch: they begin and end together. This one has none."""

    def add(
        self, headers: Headers, topic: str, partition: int | None = None, offset: int | None = None, *, fault: str = ""
    ) -> None:
        """The batch has a record; those of no trace, or of one that is not sampled, have no span.

        Args:
            headers: of the record.
            topic: where it stands, with `partition` and `offset`; the door knows the topic alone.
            partition: of the topic.
            offset: of the record.
            fault: why it could not be used; empty if all is well.
        """

    def add_record(self, record: ConsumerRecord, headers: Headers = (), *, fault: str = "") -> None:
        """The same of a record as it was fetched; of one that is redriven others are `headers`."""

    def end(self) -> None:
        """All of it is where it belongs, from now on. A batch that failed is not ended, since it is done again."""


class Exporter(Protocol):
    """Makes spans, and takes them somewhere."""

    def begin(self, stage: Stage, whom: str) -> Spans:
        """As `Tracing.begin`."""

    def flush(self) -> None:
        """Return when everything has been sent, or was given up."""


_NONE: Final = Spans()


class Tracing:
    """Where spans come from; without an exporter there are none."""

    def __init__(self, exporter: Exporter | None = None) -> None:
        self._exporter = exporter

    def begin(self, stage: Stage, whom: str = "") -> Spans:
        """A batch begins now.

        Args:
            stage: what is done.
            whom: for, in place of the topic.
        """
        return _NONE if self._exporter is None else self._exporter.begin(stage, whom)

    async def flush(self, within_s: float = _FLUSH_WITHIN_S) -> None:
        """Send what has not been sent; a collector that does not answer is not waited for."""
        if self._exporter is None:
            return
        done, loop = asyncio.Event(), asyncio.get_running_loop()
        # A thread that nobody joins: the loop would wait for one of its own at its end.
        threading.Thread(target=_flush, args=(self._exporter, loop, done), name="spans", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), within_s)


_OFF: Final = Tracing()


def tracing_of(settings: Settings) -> Tracing:
    """What makes the spans of this process; where they go is said by the variables of OpenTelemetry.

    Raises:
        SettingsError: the libraries are not installed, or it is no address where they are to go.
    """
    return _to_collector() if settings.tracing else _OFF


@lru_cache(maxsize=1)
def _to_collector() -> Tracing:
    for name in _ENDPOINTS:
        if (address := os.environ.get(name, "")) and not address.startswith(("http://", "https://")):
            raise SettingsError(f"{name} begins with neither http:// nor https://: spans go over OTLP/HTTP")
    try:
        make: Callable[[], Exporter] = importlib.import_module("streams.otlp_spans").OtlpSpans
    except ImportError as error:
        needs = f"{variable('tracing')} needs an extra ({error}): pip install 'churnwatch[tracing]'"
        raise SettingsError(needs) from None
    return Tracing(make())


def _flush(exporter: Exporter, loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    exporter.flush()
    with contextlib.suppress(RuntimeError):  # nobody waited, and the loop has ended
        loop.call_soon_threadsafe(done.set)
