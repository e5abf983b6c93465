"""One Faust app for a role: its own consumer group, chunks of raw records, no Faust tables, no leader, no web server."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Final, cast

import structlog
from faust import App, StreamT
from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials
from faust.tables import TableManager

from streams.chunks import Chunk, ReadOptions, SeekHook
from streams.kafka_security import OAUTH, aiokafka_options
from streams.settings import Settings
from streams.transport import ChunkTransport, consumer_of

Handler = Callable[[list[Chunk]], Awaitable[None]]
"""Takes all chunks that are waiting, in order of arrival, at least one."""
Work = Callable[[], Awaitable[None]]

_HEARTBEATS_PER_SESSION: Final = 3
# Members hear at a heartbeat that another came or went, and nobody reads until the last has heard.
_LONGEST_HEARTBEAT_INTERVAL_S: Final = 1.0
_REBALANCE_TIMEOUT_S: Final = 10.0
_REQUEST_TIMEOUT_S: Final = 20.0
_COMMIT_INTERVAL_S: Final = 1.0
_FETCH_BYTES: Final = 1 << 20
_FINISH_WITHIN_S: Final = 1.75
_AGENTS_CHECK_S: Final = 0.01

log = structlog.get_logger("churn.apps")


class NoTables(TableManager):
    """Begins as soon as the agents read; Faust gives them and the tables, of which there are none here, a second for it."""

    async def on_start(self) -> None:
        """Let the app subscribe once it knows to what: a topic that comes later waits for 45 seconds."""
        while len(self.app.topics) < len(self.app.agents) and not self.should_stop:
            await self.sleep(_AGENTS_CHECK_S)
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()


class RoleApp(App):
    """Gives what a role has at work some time at a stop, and then leaves the group whatever became of it."""

    async def on_stop(self) -> None:
        """As the stock one (app/base.py), which waits as long as the receivers of `on_before_shutdown` take.

        A broker that does not answer must not keep the group from hearing at once that its partitions are free. What is
        cut off is nothing that counts: its transaction is aborted by whoever takes over, its records are read again.
        """
        try:
            await asyncio.wait_for(super().on_stop(), _FINISH_WITHIN_S)
        except TimeoutError:
            log.warning("role.left_unfinished", app=self.conf.id, after_ms=int(_FINISH_WITHIN_S * 1000))


def make_app(
    settings: Settings, part: str, *, read_committed: bool = False, bare_records: bool = False, seek: SeekHook | None = None
) -> App:
    """An app without agents yet.

    Args:
        settings: brokers, names, sizes.
        part: of a role, or the role itself; gives the consumer group.
        read_committed: do not see records of open and aborted transactions.
        bare_records: see `ReadOptions`.
        seek: says where to read on after each rebalance; else at the committed offsets.
    """
    app = RoleApp(
        settings.group_id(part),
        broker_credentials=_credentials(settings),
        broker=[f"kafka://{server}" for server in settings.bootstrap.split(",")],
        store="memory://",
        datadir=str(Path(tempfile.gettempdir()) / "churnwatch"),  # Faust makes it, and nothing is kept in it
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        table_standby_replicas=0,
        TableManager=NoTables,
        # The stock wait for open events never ends when an agent crashed; nothing here needs it.
        stream_wait_empty=False,
        broker_max_poll_records=settings.max_batch_records,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=min(_LONGEST_HEARTBEAT_INTERVAL_S, settings.session_timeout_s / _HEARTBEATS_PER_SESSION),
        broker_rebalance_timeout=_REBALANCE_TIMEOUT_S,
        broker_request_timeout=max(_REQUEST_TIMEOUT_S, settings.session_timeout_s),
        broker_commit_interval=_COMMIT_INTERVAL_S,
        broker_check_crcs=False,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=_FETCH_BYTES,
    )
    options = ReadOptions(
        read_committed=read_committed,
        seek=seek,
        bare_records=bare_records,
        max_backlog_records=settings.max_backlog_records,
    )
    app.transport = ChunkTransport(app, options)
    return app


def add_agent(app: App, name: str, topics: Iterable[str], handle: Handler, *, keeps_chunks: bool = False) -> None:
    """Let a handler see what topics bring; an exception in it ends the process, with nothing acknowledged.

    Args:
        app: of `make_app`.
        name: of the agent, in logs.
        topics: full names; no other agent of this app reads them.
        handle: called with one list of chunks after the other.
        keeps_chunks: the handler calls `ChunkConsumer.release` itself, when it has worked on the records.
    """
    source = app.topic(*topics, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    failed = False

    async def agent(stream: StreamT[Any]) -> None:
        nonlocal failed
        async for first in cast("AsyncIterator[Chunk]", stream):
            chunks = _of_this_generation(app, [first, *_waiting(stream)])
            # Until the app has stopped, Faust's supervisor starts a failed agent anew. What comes behind the failed chunks
            # must not be handled before them: they would be taken for done, and be lost.
            if failed or not chunks:
                continue
            try:
                await handle(chunks)
            except Exception as error:
                failed = True
                log.exception("agent.crashed", agent=name, app=app.conf.id)
                await app.crash(error)
                raise
            if not keeps_chunks:
                for chunk in chunks:
                    consumer_of(app).release(chunk)

    app.agent(source, name=name)(agent)


def add_work(app: App, name: str, work: Work, close: Work) -> None:
    """Let something run beside the agents until the app stops; an exception in it ends the process.

    Args:
        app: of `make_app`.
        name: of the work, in logs.
        work: begins when the app has joined its group; cancelled while its consumer can still be talked to.
        close: called then, before the consumer is closed.
    """
    running: list[asyncio.Task[Any]] = []

    async def supervised() -> None:
        running.append(cast("asyncio.Task[Any]", asyncio.current_task()))
        try:
            await work()
        except Exception as error:
            log.exception("work.crashed", work=name, app=app.conf.id)
            await app.crash(error)
            raise

    async def leave(*_args: Any, **_kwargs: Any) -> None:  # noqa: ANN401 - the signal's
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        await close()

    app.task(supervised)
    app.on_before_shutdown.connect(leave, weak=False)


def _waiting(stream: StreamT[Any]) -> list[Chunk]:
    """The chunks that wait behind the first one."""
    queue = cast("Any", stream.channel).queue
    return [queue.get_nowait().value for _ in range(queue.qsize())]


def _of_this_generation(app: App, chunks: list[Chunk]) -> list[Chunk]:
    """Without those of an earlier generation of the group: they are read again."""
    return [chunk for chunk in chunks if chunk.generation == app.consumer_generation_id]


def _credentials(settings: Settings) -> Any:  # noqa: ANN401 - one of Faust's
    """What Faust makes its consumer with; None: nothing is needed.

    Raises:
        SettingsError: a secret or a certificate cannot be read.
    """
    options = aiokafka_options(settings)
    context = options.get("ssl_context")
    if not options:
        return None
    if "sasl_mechanism" not in options:
        return SSLCredentials(context=context)
    if options["sasl_mechanism"] == OAUTH:
        return OAuthCredentials(oauth_cb=options["sasl_oauth_token_provider"], ssl_context=context)
    return SASLCredentials(
        username=options["sasl_plain_username"],
        password=options["sasl_plain_password"],
        ssl_context=context,
        mechanism=options["sasl_mechanism"],
    )
