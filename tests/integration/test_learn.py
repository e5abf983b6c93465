"""Learning on a broker: stopped, killed and started again, against one pass over the examples."""

import asyncio
import os
import sys
from collections.abc import Callable

import pytest
from aiokafka.structs import ConsumerRecord, TopicPartition
from detect_log import Log, new_installation, reading, until
from engine_run import order, tick
from faust.types import TP
from learn_examples import example, oracle, put
from standing_run import churn_rules

from detectors.model import decode_state
from schemas.codec import decode_decision, decode_record, encode
from schemas.control import ModelPublished, RulesPublished
from schemas.decisions import RiskRecord
from streams.learn import learner_of
from streams.model_store import STATE_KEY
from streams.settings import Settings, Topic, variable
from streams.transport import ChunkConsumer
from streams.worker import running_roles

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]
SIZE = 150
"""Examples between two snapshots."""
WORKER = """
from streams.settings import load_settings
from streams.worker import run_worker
run_worker(load_settings(), ["learn"])
"""


@pytest.fixture
def settings(bootstrap: str, unique: Unique) -> Settings:
    return new_installation(
        bootstrap, unique("learn"), learn_snapshot_examples=SIZE, learn_min_examples=2 * SIZE, learn_min_rarer_examples=10
    )


async def records_of(settings: Settings, topic: Topic) -> list[ConsumerRecord]:
    async with reading(settings, TopicPartition(settings.topic(topic), 0)) as records:
        return records


async def states(settings: Settings) -> list[bytes]:
    """The training states, from the first on."""
    return [record.value for record in await records_of(settings, "models") if record.key == STATE_KEY]


async def published(settings: Settings) -> list[ModelPublished]:
    records = [decode_record(record.value) for record in await records_of(settings, "control")]
    return [record for record in records if isinstance(record, ModelPublished)]


async def until_snapshot(settings: Settings, next_offset: int) -> bytes:
    """Wait for the training state that goes on at an offset."""

    async def is_there() -> bool:
        written = await states(settings)
        return bool(written) and decode_state(written[-1]).next_offset >= next_offset

    await until(is_there)
    return (await states(settings))[-1]


async def test_a_restart_in_the_middle_learns_the_same_model_as_no_restart(settings: Settings) -> None:
    await put(settings, [encode(example(number)) for number in range(3 * SIZE - 10)])
    async with running_roles(settings, ["learn"]) as running:
        await until(lambda: learner_of(running.apps["learn"]).counters.examples == 3 * SIZE - 10)
    assert await until_snapshot(settings, 2 * SIZE) == encode(oracle(2 * SIZE).snapshot(2 * SIZE))

    await put(settings, [encode(example(number)) for number in range(3 * SIZE - 10, 4 * SIZE)])
    async with running_roles(settings, ["learn"]) as running:
        assert await until_snapshot(settings, 4 * SIZE) == encode(oracle(4 * SIZE).snapshot(4 * SIZE))
        assert learner_of(running.apps["learn"]).counters.examples == 2 * SIZE


async def test_the_scoring_part_is_published_before_the_state_and_usable_once_enough_has_matured(settings: Settings) -> None:
    await put(settings, [encode(example(number)) for number in range(3 * SIZE)])
    async with running_roles(settings, ["learn"]):
        await until_snapshot(settings, 3 * SIZE)
    documents = [record.document for record in await published(settings)]

    assert [document.trained_until_offset for document in documents] == [SIZE - 1, 2 * SIZE - 1, 3 * SIZE - 1]
    assert [document.usable for document in documents] == [False, True, True]
    assert encode(documents[-1]) == encode(oracle(3 * SIZE).document(3 * SIZE - 1))


async def test_a_killed_learner_is_replaced_by_one_that_learns_the_same(settings: Settings) -> None:
    await put(settings, [encode(example(number)) for number in range(5 * SIZE)])
    chosen = settings.model_dump(exclude_defaults=True)
    environment = {**os.environ, **{variable(name): str(value) for name, value in chosen.items()}}
    victim = await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, env=environment)
    try:
        await until_snapshot(settings, SIZE)
    finally:
        victim.kill()
        await victim.wait()
    await put(settings, [encode(example(number)) for number in range(5 * SIZE, 6 * SIZE)])
    async with running_roles(settings, ["learn"]):
        assert await until_snapshot(settings, 6 * SIZE) == encode(oracle(6 * SIZE).snapshot(6 * SIZE))


async def test_learners_that_take_turns_in_the_middle_learn_the_same(settings: Settings) -> None:
    #  one learner   |-------------------------|
    #  another            |------|      |------|   only one of them has the topic at a time
    async with running_roles(settings, ["learn"]):
        for turn in range(1, 5):
            await put(settings, [encode(example(number)) for number in range((turn - 1) * SIZE, turn * SIZE)])
            if turn % 2:
                await until_snapshot(settings, (turn - 1) * SIZE or 1)
            else:
                async with running_roles(settings, ["learn"]):
                    await until_snapshot(settings, turn * SIZE)
        assert await until_snapshot(settings, 4 * SIZE) == encode(oracle(4 * SIZE).snapshot(4 * SIZE))
    found = {decode_state(value).next_offset: value for value in await states(settings)}
    assert found == {offset: encode(oracle(offset).snapshot(offset)) for offset in range(SIZE, 5 * SIZE, SIZE)}


async def test_a_snapshot_is_not_left_out_because_the_broker_once_took_no_offsets(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock, refused = ChunkConsumer.still_member, list[int]()

    async def still_member(consumer: ChunkConsumer, tp: TP, next_offset: int) -> bool:
        if not refused:
            refused.append(next_offset)
            return False
        return await stock(consumer, tp, next_offset)

    monkeypatch.setattr(ChunkConsumer, "still_member", still_member)
    await put(settings, [encode(example(number)) for number in range(SIZE)])
    async with running_roles(settings, ["learn"]):
        assert await until_snapshot(settings, SIZE) == encode(oracle(SIZE).snapshot(SIZE))
    assert refused == [0]


async def test_records_that_are_no_examples_are_passed_over(settings: Settings) -> None:
    await put(settings, [b"{", b'{"type":"risk"}', *[encode(example(number)) for number in range(SIZE)]])
    async with running_roles(settings, ["learn"]) as running:
        await until_snapshot(settings, SIZE)
        await until(lambda: learner_of(running.apps["learn"]).counters.examples == SIZE)
        assert learner_of(running.apps["learn"]).counters.refused == 2


async def test_examples_of_transactions_are_counted_not_their_markers(settings: Settings, unique: Unique) -> None:
    for begin in range(0, SIZE, 10):
        await put(settings, [encode(example(number)) for number in range(begin, begin + 10)], transaction=unique("writer"))
    async with running_roles(settings, ["learn"]):
        state = decode_state(await until_snapshot(settings, 1))

    assert state.examples == SIZE
    assert encode(oracle(SIZE).snapshot(state.next_offset)) == encode(state)


async def test_what_detect_saw_mature_comes_back_to_it_as_a_model(bootstrap: str, unique: Unique) -> None:
    #  Customers order once or every week; reviews mature in detect, learn learns, the clock hands the model out, detect scores.
    log = Log(
        new_installation(
            bootstrap, unique("loop"), learn_snapshot_examples=50, learn_min_examples=50, learn_min_rarer_examples=5
        )
    )
    rules = RulesPublished(at_ms=0, version="1", revision=1, document=churn_rules())
    bought = [order(100 + 4 * n, customer=f"once{n}") for n in range(60)]
    bought += [order(day, customer=f"often{n}") for n in range(10) for day in range(100, 400, 7)]
    await log.append(0, [rules, *sorted(bought, key=lambda one: one.at_ms), tick(200)])
    async with running_roles(log.settings, ["clock", "detect", "learn"]):
        last_day = 200

        async def risk_by_model() -> bool:
            nonlocal last_day
            last_day += 7
            await log.append(0, [tick(last_day)])
            records = [decode_decision(record.value) for record in await log.committed("risk", 0)]
            return any(isinstance(record, RiskRecord) and record.basis == "model" for record in records)

        await until(risk_by_model)
        examples = len(await log.committed("examples", 0))
        newest = (await published(log.settings))[-1].document
    assert newest.quality.examples <= examples
    assert newest.quality.auc > 0.6  # the first 200 have the base rate for a score
