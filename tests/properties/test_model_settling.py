"""Whoever publishes a model at the same time as others, or is killed meanwhile: what is held is in force at the end."""

from collections.abc import Coroutine, Generator, Mapping, Sequence
from types import coroutine
from typing import Any, cast

from aiokafka.structs import ConsumerRecord
from hypothesis import given, settings
from hypothesis import strategies as st
from standing_run import model

from schemas.model_pin import ModelAction
from streams.log_writer import LogWriter
from streams.model_store import ModelStore, settle, with_action
from streams.settings import Settings, load_settings
from streams.transactions import Place, Row

SETTINGS = load_settings()
MODELS = Place(SETTINGS.topic("models"), 0)
CONTROL = Place(SETTINGS.topic("control"), 0)


@coroutine
def others_go_on() -> Generator[None, None, None]:
    """Every instant at which somebody else may be quicker, or at which a process may be killed."""
    yield


class Broker:
    """Two topics in memory; a write happens at one instant, between two at which others go on."""

    def __init__(self) -> None:
        self.topics: dict[Place, list[Row]] = {MODELS: [], CONTROL: []}

    async def write(self, rows_by_place: Mapping[Place, Sequence[Row]]) -> None:
        await others_go_on()
        for place, rows in rows_by_place.items():
            self.topics[place] += rows
        await others_go_on()


class Store(ModelStore):
    broker: Broker

    async def refresh(self, settings: Settings) -> None:  # noqa: ARG002 - there is one broker
        await others_go_on()
        for offset, row in enumerate(self.broker.topics[MODELS][self.next_offset :], start=self.next_offset):
            key, value = row.key or b"", row.value
            self.take(ConsumerRecord("models", 0, offset, 0, 0, key, value, None, len(key), len(value or b""), ()))
        await others_go_on()


def store_of(broker: Broker) -> Store:
    store = Store()
    store.broker = broker
    return store


async def learner(broker: Broker, done: list[int], count: int) -> None:
    """Cuts snapshots from where the last one that was killed had come to."""
    store, said = store_of(broker), None
    writer = cast("LogWriter", broker)
    await store.refresh(SETTINGS)
    while len(done) < count:
        await writer.write({MODELS: store.rows_with(model(revision=len(done) + 1))})
        said = await settle(SETTINGS, writer, store, said)
        done.append(len(done))  # the training state: from here on nothing is done again


async def operator(broker: Broker, wishes: list[int]) -> None:
    """Goes back to a model, or lets the newest in, as the commands do it."""
    for wish in wishes:
        store = store_of(broker)
        await store.refresh(SETTINGS)
        held, versions = store.pin.held, list(store.versions)
        if held is not None and wish % 2:
            action = ModelAction(action="resume", version=held.version, at_ms=1, by="max")
        elif versions:
            action = ModelAction(action="rollback", version=versions[wish % len(versions)], at_ms=wish, by="max")
        else:
            continue
        await broker.write({MODELS: [with_action(store.pin, action)]})
        await settle(SETTINGS, cast("LogWriter", broker), store)


def moves_on(process: Coroutine[Any, Any, None]) -> bool:
    try:
        process.send(None)
    except StopIteration:
        return False
    return True


KILL_LEARNER = 9
TURNS = st.tuples(st.sampled_from([0, 1, 2, KILL_LEARNER]), st.integers(1, 14))
"""Who goes on, and for how long: a race needs one that waits while another does all of its work."""


@given(
    st.integers(1, 3),
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=3), min_size=1, max_size=2),
    st.lists(TURNS, min_size=4, max_size=16),
)
@settings(max_examples=400)
def test_at_the_end_what_is_due_is_in_force(count: int, wishes: list[list[int]], turns: list[tuple[int, int]]) -> None:
    broker, done = Broker(), list[int]()
    running = dict(enumerate([learner(broker, done, count), *(operator(broker, wish) for wish in wishes)]))
    for chosen, steps in [*turns, *[(number, 1000) for number in (1, 2, 0)]]:
        if chosen == KILL_LEARNER and 0 in running:
            running[0].close()
            running[0] = learner(broker, done, count)
        for _ in range(steps):
            if chosen in running and not moves_on(running[chosen]):
                del running[chosen]
    assert not running

    everything = store_of(broker)
    reading = everything.refresh(SETTINGS)
    while moves_on(reading):
        pass
    assert broker.topics[CONTROL][-1] == everything.due()
