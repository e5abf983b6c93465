"""The role `learn`: matured examples in, the training state and the published model out.

An example is acknowledged by the record of `churn.models` that holds what was learned from it and the offset of the
next one: state and position are one record, so an interruption neither loses an example nor learns one twice.
While people hold an older model (`churnwatch model rollback`), learning goes on and no new one comes in force.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiokafka.structs import TopicPartition
from faust import App
from faust.types import TP

from detectors.model import ChurnModel, decode_state
from schemas.codec import decode_decision, encode
from schemas.control import ModelPublished
from schemas.decisions import ExampleRecord
from schemas.errors import ContractError
from schemas.model_quality import ALARMS
from schemas.models import TrainingState
from streams.apps import add_agent, make_app
from streams.chunks import Chunk
from streams.log_writer import LogWriter
from streams.model_store import MODEL, STATE_KEY, ModelStore, settle
from streams.settings import Settings
from streams.topic_tail import reader
from streams.transactions import Place, Row
from streams.transport import consumer_of

_PROOF_PAUSE_S: Final = 0.5

log = structlog.get_logger("churn.learn")


@dataclass
class LearnCounters:
    """What was learned since the process started; only ever added to."""

    examples: int = 0
    refused: int = 0
    """Examples that were of no use, and records that are none."""
    snapshots: int = 0


def make_learn_app(settings: Settings) -> App:
    """The app of the role `learn`."""
    learner = Learner(settings)
    app = make_app(settings, "learn", read_committed=True, seek=learner.restore)
    learner.app = app
    app.learner = learner  # type: ignore[attr-defined]  # Faust apps carry what belongs to them
    add_agent(app, "learn", [settings.topic("examples")], learner.read)

    async def leave(*_args: Any, **_kwargs: Any) -> None:  # noqa: ANN401 - the signal's
        await learner.close()

    app.on_before_shutdown.connect(leave, weak=False)
    return app


def learner_of(app: App) -> "Learner":
    """The learner of an app that `make_learn_app` made."""
    learner: Learner = app.learner  # type: ignore[attr-defined]  # set there
    return learner


class Learner:
    """Learns in the order of the topic. Snapshots are cut at offsets, never by time: another run cuts the same ones."""

    app: App

    def __init__(self, settings: Settings) -> None:
        self.counters = LearnCounters()
        self._settings = settings
        self.model = self._new_model()
        self._examples = TP(settings.topic("examples"), 0)
        self._writer = LogWriter(settings)
        self.store = ModelStore()
        self._said: Row | None = None
        self._next_offset = 0
        self._safe_offset = 0
        self._since_snapshot = 0

    async def restore(self, assigned: frozenset[TP]) -> Mapping[TP, int]:
        """Go back to the last training state; what was learned since is read, and learned, again.

        Raises:
            ContractError: the last training state cannot be read: learning on from nothing would replace a good model.
        """
        if self._examples not in assigned:
            return dict.fromkeys(assigned, 0)
        self.store, self._said = ModelStore(), None
        await self.store.refresh(self._settings)
        examples = TopicPartition(*self._examples)
        async with reader(self._settings) as consumer:
            begin = (await consumer.beginning_offsets([examples]))[examples]
            end = (await consumer.end_offsets([examples]))[examples]
        self.model, self._next_offset, self._since_snapshot = self._new_model(), 0, 0
        if self.store.state is not None:
            self._go_on_from(decode_state(self.store.state))
        self._safe_offset = self._next_offset
        if not begin <= self._next_offset <= end:
            # The model is what it is; what it never saw cannot be had any more.
            log.warning("learn.examples_gone", next_offset=self._next_offset, begin=begin, end=end)
        if self._next_offset and not self.model.monitor.examples:
            log.warning("learn.begun_anew", next_offset=self._next_offset)
        log.info("learn.restored", next_offset=self._next_offset, examples=self.model.monitor.examples)
        return {tp: self._next_offset if tp == self._examples else 0 for tp in assigned}

    async def read(self, chunks: list[Chunk]) -> None:
        """Learn, cut snapshots where they are due, and say that their examples are done."""
        for chunk in chunks:
            for record in chunk.records:
                if chunk.generation != self.app.consumer_generation_id:
                    break  # restored meanwhile: all of this is read again
                if record.offset >= self._next_offset:
                    self._learn(record.value, record.offset)
                    if self._since_snapshot >= self._settings.learn_snapshot_examples:
                        await self._cut_snapshot(chunk)

    async def close(self) -> None:
        """Let go of the broker."""
        await self._writer.close()

    def _new_model(self) -> ChurnModel:
        return ChurnModel(
            MODEL, min_examples=self._settings.learn_min_examples, min_rarer=self._settings.learn_min_rarer_examples
        )

    def _go_on_from(self, state: TrainingState) -> None:
        settings = self._settings
        self.model = ChurnModel.from_snapshot(
            state, min_examples=settings.learn_min_examples, min_rarer=settings.learn_min_rarer_examples
        )
        self._next_offset = state.next_offset

    def _learn(self, value: bytes | None, offset: int) -> None:
        self._next_offset = offset + 1
        self._since_snapshot += 1
        example = _example_in(value, offset)
        alarms = self.model.monitor.alarms
        if example is not None and self.model.learn(example):
            self.counters.examples += 1
        else:
            self.counters.refused += 1
        if alarms != self.model.monitor.alarms:
            _tell_alarms(alarms, self.model.monitor.alarms, offset)

    async def _cut_snapshot(self, chunk: Chunk) -> None:
        """Keep the scoring part, publish what is due, then keep the state: after a crash all of it is done again.

        Again changes nothing: the same examples give the same bytes.
        """
        self._since_snapshot = 0
        offset, state, document = (
            self._next_offset - 1,
            self.model.snapshot(self._next_offset),
            self.model.document(self._next_offset - 1),
        )
        published = ModelPublished(
            at_ms=state.seen_ms + state.horizon_ms,
            version=f"{MODEL}-{offset}",
            revision=0,  # the clock gives it: the document's place in the control topic
            document=document,
        )
        if not await self._is_ours(chunk):
            return  # another process learns now, and cuts the same snapshot
        models = Place(self._settings.topic("models"), 0)
        await self._writer.write({models: self.store.rows_with(published)})
        self._said = await settle(self._settings, self._writer, self.store, self._said)
        await self._writer.write({models: [Row(STATE_KEY, encode(state))]})
        self._safe_offset = offset + 1
        consumer_of(self.app).done(chunk.tp, self._safe_offset, chunk.generation)
        self.counters.snapshots += 1
        quality, held = document.quality, self.store.pin.held
        log.info(
            "learn.snapshot",
            offset=offset,
            usable=document.usable,
            auc=quality.auc,
            log_loss=quality.log_loss,
            held=held.version if held else None,
        )

    async def _is_ours(self, chunk: Chunk) -> bool:
        """Prove it by a commit that the broker takes; one that it does not answer proves nothing, and is tried again."""
        consumer = consumer_of(self.app)
        while chunk.generation == self.app.consumer_generation_id and not self.app.should_stop:
            if await consumer.still_member(chunk.tp, self._safe_offset):
                return True
            await asyncio.sleep(_PROOF_PAUSE_S)
        return False


def _tell_alarms(before: Collection[str], now: Collection[str], offset: int) -> None:
    for name in ALARMS:
        if (name in before) != (name in now):
            log.warning("learn.alarm", alarm=name, state="began" if name in now else "ended", offset=offset)


def _example_in(value: bytes | None, offset: int) -> ExampleRecord | None:
    """The example in a record; None, and a line in the log, if there is none."""
    try:
        found = decode_decision(value or b"")
    except ContractError as error:
        log.error("learn.unreadable", offset=offset, reason=error.code, message=error.message)  # noqa: TRY400
        return None
    return found if isinstance(found, ExampleRecord) else None
