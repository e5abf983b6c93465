"""The role `deliver`, as far as stores go: alerts, risks and stages are kept, and acknowledged when they are."""

import asyncio
import contextlib
import importlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import structlog
from faust import App
from faust.types import TP

from sinks.base import SinkError
from sinks.redis_store import RedisStore
from sinks.stores import Partition, Store, StoreMoved
from streams.apps import add_agent, add_work, make_app
from streams.chunks import Chunk
from streams.dead_letters import dead_letter_row
from streams.delivered import DELIVERED, Batch, batch_of, letter_of, partition_of
from streams.log_writer import LogWriter
from streams.redis_terms import redis_terms
from streams.settings import Settings, SettingsError, variable
from streams.tracing import tracing_of
from streams.transactions import Place
from streams.transport import consumer_of

_FIRST_PAUSE_MS: Final = 200
_LONGEST_PAUSE_MS: Final = 30_000
_TEND_EVERY_S: Final = 1.0

T = TypeVar("T")

log = structlog.get_logger("churn.deliver")


@dataclass
class DeliverCounters:
    """What deliver has done since the process started; only ever added to."""

    records: int = 0
    """That the store has taken."""
    retries: int = 0
    """Calls that had to be made again, each time."""
    moves: int = 0
    """How often the store did not have any more what it had been told."""
    failing_since_s: float | None = None
    """Since when the store has taken nothing, by the monotonic clock; None: it took what it was given last."""
    dead_letters: Counter[str] = field(default_factory=Counter)
    """By reason."""


def make_redis_app(settings: Settings) -> App:
    """The app that keeps the read model in Redis.

    Raises:
        SettingsError: the password cannot be read.
    """
    return make_store_app(settings, "deliver-redis", RedisStore(redis_terms(settings)))


def make_archive_app(settings: Settings) -> App:
    """The app that keeps the archive.

    Raises:
        SettingsError: no folder is given, or what writes Parquet is not installed.
    """
    if settings.archive is None:
        raise SettingsError(f"{variable('archive')} is not set: there is no folder to write to")
    try:
        module = importlib.import_module("sinks.archive")
    except ModuleNotFoundError as missing:
        if missing.name != "duckdb":
            raise
        needed = "needs DuckDB: pip install 'churnwatch[parquet]'"
        raise SettingsError(f"{variable('archive')}={settings.archive} {needed}") from None
    return make_store_app(settings, "deliver-archive", module.Archive(settings.archive, settings.archive_every_ms / 1000))


def make_store_app(settings: Settings, part: str, store: Store) -> App:
    """The app of a store, with a consumer group of its own."""
    deliver = Deliver(settings, store)
    app = make_app(settings, part, read_committed=True, seek=deliver.seek)
    deliver.app = app
    app.deliver = deliver  # type: ignore[attr-defined]  # Faust apps carry what belongs to them
    add_agent(app, part, [settings.topic(name) for name in DELIVERED], deliver.read)
    add_work(app, part, deliver.run, deliver.close)
    return app


def deliver_of(app: App) -> "Deliver":
    """The deliver of an app that `make_store_app` made."""
    deliver: Deliver = app.deliver  # type: ignore[attr-defined]  # set there
    return deliver


def pause_ms(attempt: int) -> int:
    """How long to wait after a failed attempt, counted from 1: twice as long each time, up to a bound.

    >>> [pause_ms(attempt) for attempt in (1, 2, 3, 20)]
    [200, 400, 800, 30000]
    """
    return int(min(_LONGEST_PAUSE_MS, _FIRST_PAUSE_MS * 2 ** min(attempt - 1, 20)))


class Deliver:
    """At least once, in the order of each partition, from where the store says. One that is down holds this group alone.

    The offsets that the group commits are for those who look at its lag: reading begins at the store's own.
    """

    app: App

    def __init__(self, settings: Settings, store: Store) -> None:
        self.counters = DeliverCounters()
        self.store = store
        self._settings = settings
        self._writer = LogWriter(settings)
        self._tracing = tracing_of(settings)
        self._leaving = asyncio.Event()
        self._store_is_ours = asyncio.Lock()
        self._assigned: frozenset[TP] = frozenset()
        self._opened: dict[TP, int] = {}
        """Partitions that are read from where the store wanted it, with their count of seeks then."""
        self._is_open = False
        """Whether that is all of them."""
        self._woken = asyncio.Event()

    # -- where to read

    async def seek(self, assigned: frozenset[TP]) -> Mapping[TP, int]:
        """Nowhere yet: `run` asks the store, which may take its time."""
        self._assigned = assigned
        self._close_partitions()
        self._woken.set()
        return {}

    async def run(self) -> None:
        """Open what is not, and look after the store, until the process ends."""
        log.info("deliver.began", sink=self.store.name)
        while not self._leaving.is_set():
            async with self._store_is_ours:
                generation = self.app.consumer_generation_id
                await (self._tend(generation) if self._is_open else self._open(generation))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), _TEND_EVERY_S)
            self._woken.clear()

    async def _open(self, generation: int) -> None:
        consumer = consumer_of(self.app)
        partitions = {partition_of(tp): tp for tp in sorted(self._assigned)}
        for tp in partitions.values():
            consumer.pause(tp)
        offsets = await self._retried(generation, lambda: self.store.positions(list(partitions))) if partitions else None
        if offsets is None:
            return
        for name, tp in partitions.items():
            if await consumer.read_from(tp, offsets[name]):
                self._opened[tp] = consumer.seeks(tp)
        self._is_open = generation == self.app.consumer_generation_id and self._opened.keys() == self._assigned

    def _close_partitions(self) -> None:
        """What is handed over of them from now on is not looked at, until they are opened."""
        self._opened.clear()
        self._is_open = False

    async def _tend(self, generation: int) -> None:
        with self._watched():
            self._kept(await self._retried(generation, self.store.tend), generation)

    # -- what was read

    async def read(self, chunks: list[Chunk]) -> None:
        """Keep all that can be read, put the rest aside, then say what is done."""
        async with self._store_is_ours:
            current = [chunk for chunk in chunks if self._opened.get(chunk.tp) == chunk.seeks]
            if current:
                with self._watched():
                    await self._keep(batch_of(self._settings, current), current[0].generation)

    async def close(self) -> None:
        """Give up on a store that is down, and let go."""
        self._leaving.set()
        self._woken.set()
        await self._writer.close()
        try:
            await self.store.close()
        except SinkError as error:
            log.warning("store.not_kept", sink=self.store.name, reason=str(error))

    async def _keep(self, batch: Batch, generation: int) -> None:
        spans = self._tracing.begin("deliver", self.store.name)
        refused = await self._retried(generation, lambda: self._take(batch))
        if refused is None:
            return
        name = self.store.name
        letters = batch.letters + [
            letter_of(batch.records[index], "sink_refused", f"{name} cannot keep this record") for index in refused
        ]
        if letters:
            place = Place(self._settings.topic("deadletters"), 0)
            await self._writer.write({place: [dead_letter_row(letter) for letter in letters]})
        for letter in letters:
            log.error("deliver.dead_letter", topic=letter.topic, partition=letter.partition, offset=letter.offset)
        kept = await self._retried(generation, lambda: self.store.advance(batch.reached))
        if kept is not None:
            for index, record in enumerate(batch.records):
                spans.add_record(record, fault="sink_refused" if index in refused else "")
            spans.end()
            self.counters.records += len(batch.told) - len(refused)
            self.counters.dead_letters.update(letter.reason for letter in letters)
            self._kept(kept, generation)

    async def _take(self, batch: Batch) -> Sequence[int]:
        """The indices of the records that the store will never take."""
        try:
            await self.store.take(batch.told)
        except SinkError as error:
            if error.retryable:
                raise
            log.error("sink.refused", sink=self.store.name, reason=str(error), records=len(error.refused))  # noqa: TRY400
            return error.refused
        return ()

    def _kept(self, offsets: Mapping[Partition, int] | None, generation: int) -> None:
        for tp in self._opened if offsets else ():
            if (offset := (offsets or {}).get(partition_of(tp))) is not None:
                consumer_of(self.app).done(tp, offset, generation)

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """If the store has moved, it is opened anew within a second; not at once, or two who quarrel would never rest."""
        try:
            yield
        except StoreMoved as moved:
            self.counters.moves += 1
            self._close_partitions()
            log.warning("store.moved", sink=self.store.name, reason=str(moved), consequence="what is missing is read again")

    async def _retried(self, generation: int, work: Callable[[], Awaitable[T]]) -> T | None:
        """Try until it is done.

        None: the partitions were taken away, or the process is to end; whoever reads them next goes on.

        Raises:
            StoreMoved: it cannot be done any more.
        """
        attempt = 0
        while not self._leaving.is_set() and generation == self.app.consumer_generation_id:
            try:
                done = await work()
            except StoreMoved:
                raise
            except SinkError as error:
                attempt += 1
                self.counters.failing_since_s = self.counters.failing_since_s or time.monotonic()
                self.counters.retries += 1
                await self._pause(attempt, str(error))
            else:
                self.counters.failing_since_s = None
                if attempt:
                    log.info("sink.recovered", sink=self.store.name, attempts=attempt)
                return done
        return None

    async def _pause(self, attempt: int, reason: str) -> None:
        delay_ms = pause_ms(attempt)
        log.warning("sink.retry_scheduled", sink=self.store.name, attempt=attempt, delay_ms=delay_ms, reason=reason)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._leaving.wait(), delay_ms / 1000)
