"""Going back to an older model, and letting new ones in again, while learn learns on."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import pytest
from aiokafka.structs import ConsumerRecord, TopicPartition
from detect_log import Log, new_installation, reading, until
from engine_run import order, tick
from learn_examples import example, oracle, put
from standing_run import churn_rules

from schemas.codec import decode_decision, decode_record, encode
from schemas.control import ModelPublished, RulesPublished
from schemas.decisions import RiskRecord
from schemas.errors import ContractError
from streams.log_writer import LogWriter
from streams.model_command import ModelNotFound, PinRefused, list_models, resume, rollback, show_model
from streams.model_store import KEPT, PIN_KEY, STATE_KEY, WHY_HEADER, ModelStore
from streams.model_words import Changed
from streams.settings import Settings, Topic, load_settings
from streams.transactions import Place, Row
from streams.worker import running_roles

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]
SIZE = 250
"""Examples between two models."""


def installation(bootstrap: str, name: str) -> Settings:
    return new_installation(bootstrap, name, learn_snapshot_examples=SIZE, learn_min_examples=SIZE, learn_min_rarer_examples=2)


@pytest.fixture
def settings(bootstrap: str, unique: Unique) -> Settings:
    return installation(bootstrap, unique("model"))


def version(number: int) -> str:
    """Of the model after so many snapshots."""
    return f"churn-{number * SIZE - 1}"


async def records_of(settings: Settings, topic: Topic) -> list[ConsumerRecord]:
    async with reading(settings, TopicPartition(settings.topic(topic), 0)) as records:
        return records


async def in_force(settings: Settings) -> list[str]:
    """Every model that came in force, from the first on."""
    found = [decode_record(record.value) for record in await records_of(settings, "control")]
    return [record.version for record in found if isinstance(record, ModelPublished)]


async def learn_until(settings: Settings, number: int, *, begin: int = 0) -> None:
    """Feed learn with what makes so many snapshots, and wait for the last."""
    await put(settings, [encode(example(n)) for n in range(begin * SIZE, number * SIZE)])
    state = encode(oracle(number * SIZE, min_examples=SIZE, min_rarer=2).snapshot(number * SIZE))

    async def is_there() -> bool:
        return (STATE_KEY, state) in [(record.key, record.value) for record in await records_of(settings, "models")]

    await until(is_there)


async def going_back(settings: Settings, to: str, why: str = "") -> Changed:
    """As the command does it, which runs a loop of its own."""
    return await asyncio.to_thread(rollback, settings, to, by="lena", why=why)


async def going_on(settings: Settings) -> Changed:
    return await asyncio.to_thread(resume, settings, by="max")


async def test_an_older_model_is_held_while_learning_goes_on_and_the_newest_follows(settings: Settings) -> None:
    #  snapshot   1    2    3   (restart)   4
    #  in force   1    2  | 1               | 4    the first | is the roll-back, the second is `resume`
    async with running_roles(settings, ["learn"]):
        await learn_until(settings, 2)
        said = await going_back(settings, version(1), "the new shop")
        assert str(said).startswith(f"in force: {version(1)}, revision 2, since ")
        await learn_until(settings, 3, begin=2)
    async with running_roles(settings, ["learn"]):
        await learn_until(settings, 4, begin=3)
        while_held = await in_force(settings)
        await going_on(settings)
        after = await in_force(settings)

    assert list(dict.fromkeys(while_held)) == [version(1), version(2)]
    assert set(while_held[2:]) == {version(1)}
    assert after == [*while_held, version(4)]


async def test_who_went_back_when_and_why_is_told(settings: Settings) -> None:
    async with running_roles(settings, ["learn"]):
        await learn_until(settings, 2)
    await going_back(settings, version(1), "the new shop")
    record = (await records_of(settings, "control"))[-1]
    published = decode_record(record.value)
    assert isinstance(published, ModelPublished)
    assert (published.by, dict(record.headers)) == ("lena", {WHY_HEADER: b"the new shop"})
    assert published.document == oracle(SIZE, min_examples=SIZE, min_rarer=2).document(SIZE - 1)

    held = await asyncio.to_thread(list_models, settings)
    assert f"in force: {version(1)}, revision 2, " in str(held)
    assert "held until `churnwatch model resume`" in str(held)
    assert f"\n* {version(1)}  " in str(held)
    await going_on(settings)
    found = await asyncio.to_thread(list_models, settings)
    assert [line.split("  ")[-1] for line in str(found).splitlines()[-2:]] == [
        f"max let go of {version(1)}",
        f"lena went back to {version(1)}: the new shop",
    ]
    plain = found.as_json()
    assert (plain["in_force"]["version"], plain["held"]) == (version(2), None)
    assert [one["version"] for one in plain["kept"]] == [version(2), version(1)]
    assert [(one["action"], one["by"]) for one in plain["actions"]] == [("rollback", "lena"), ("resume", "max")]


async def test_a_model_is_shown_with_its_quality_and_weights(settings: Settings) -> None:
    async with running_roles(settings, ["learn"]):
        await learn_until(settings, 2)
    newest, older = [await asyncio.to_thread(show_model, settings, wanted) for wanted in (None, version(1))]
    assert (newest.model.version, older.model.version) == (version(2), version(1))
    weights = dict(zip(older.model.document.features, older.model.document.weights, strict=True))
    assert str(older).splitlines()[-1].split()[0] == max(weights, key=lambda name: (-abs(weights[name]), name))
    assert older.as_json()["document"]["quality"]["examples"] == SIZE


async def test_the_latest_are_kept_and_the_one_that_is_held(settings: Settings) -> None:
    async with running_roles(settings, ["learn"]):
        await learn_until(settings, 3)
        await going_back(settings, version(2))
        await learn_until(settings, KEPT + 5, begin=3)
    store = ModelStore()
    await store.refresh(settings)

    assert list(store.versions) == [version(2), *(version(n) for n in range(6, KEPT + 6))]
    with pytest.raises(ModelNotFound, match=f"no model {version(1)} is kept. There is: {version(KEPT + 5)}, "):
        await going_back(settings, version(1))


async def test_a_roll_back_at_the_instant_of_a_snapshot_wins(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    #  learn looks whether a model is held, and publishes its own; the roll-back comes in between
    stock, done = LogWriter.write, list[str]()

    async def write(writer: LogWriter, rows: Mapping[Place, Sequence[Row]]) -> int | None:
        is_third = any(version(3).encode() in (row.value or b"") for row in rows.get(Place(settings.topic("control"), 0), ()))
        if is_third and not done:
            done.append(version(1))
            await going_back(settings, version(1))
        return await stock(writer, rows)

    monkeypatch.setattr(LogWriter, "write", write)
    async with running_roles(settings, ["learn"]):
        await learn_until(settings, 3)
    assert await in_force(settings) == [version(n) for n in (1, 2, 1, 3, 1)]


async def test_a_model_that_is_taken_out_at_the_same_instant_is_not_said_to_be_in_force(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock = LogWriter.write

    async def write(writer: LogWriter, rows: Mapping[Place, Sequence[Row]]) -> int | None:
        if any(row.key == PIN_KEY for some in rows.values() for row in some):
            await stock(writer, {Place(settings.topic("models"), 0): [Row(f"churn/{version(1)}".encode(), None)]})
        return await stock(writer, rows)

    async with running_roles(settings, ["learn"]):
        await learn_until(settings, 2)
    with monkeypatch.context() as patched:
        patched.setattr(LogWriter, "write", write)
        with pytest.raises(PinRefused, match=rf"{version(1)} did not come in force: .* In force is {version(2)}, "):
            await going_back(settings, version(1))
    await going_back(settings, version(2))
    assert await in_force(settings) == [version(1), version(2), version(2)]


async def test_a_restart_in_the_middle_leaves_the_same_records_as_no_restart(bootstrap: str, unique: Unique) -> None:
    found: list[tuple[list[tuple[bytes, bytes | None]], list[bytes]]] = []
    for restarts in (False, True):
        settings = installation(bootstrap, unique("same"))
        async with running_roles(settings, ["learn"]):
            await learn_until(settings, 3)
            if not restarts:
                await learn_until(settings, 5, begin=3)
        if restarts:
            async with running_roles(settings, ["learn"]):
                await learn_until(settings, 5, begin=3)
        models = [(record.key, record.value) for record in await records_of(settings, "models")]
        found.append((models, [record.value for record in await records_of(settings, "control")]))
    assert found[0] == found[1]


async def test_what_cannot_be_is_refused_and_changes_nothing(settings: Settings) -> None:
    with pytest.raises(ModelNotFound, match="no model is published yet"):
        await going_back(settings, version(1))
    async with running_roles(settings, ["learn"]):
        await learn_until(settings, 2)
    with pytest.raises(PinRefused, match="no model is held"):
        await going_on(settings)
    with pytest.raises(ModelNotFound, match=f"no model churn-7 is kept. There is: {version(2)}, {version(1)}"):
        await going_back(settings, "churn-7")
    with pytest.raises(ContractError, match="cannot be read"):
        await asyncio.to_thread(rollback, settings, version(1), by="")
    assert await in_force(settings) == [version(1), version(2)]

    await going_back(settings, version(1), "worse since May")
    with pytest.raises(PinRefused, match=rf"{version(1)} is held already, by lena \(worse since May\): .* resume"):
        await going_back(settings, version(1))
    await going_back(settings, version(2))
    assert await in_force(settings) == [version(1), version(2), version(1), version(2)]


async def test_without_the_topics_nothing_is_done(bootstrap: str, unique: Unique) -> None:
    with pytest.raises(ModelNotFound, match=r"control does not exist: `churnwatch topics` creates it"):
        await going_back(load_settings(bootstrap=bootstrap, prefix=unique("none") + "."), version(1))


async def test_running_workers_score_with_the_model_that_was_gone_back_to(bootstrap: str, unique: Unique) -> None:
    log = Log(installation(bootstrap, unique("back")))
    await log.append(0, [RulesPublished(at_ms=0, version="1", revision=1, document=churn_rules())])
    day = 100

    async def scored_by(model: str) -> bool:
        """Another customer each time: the first look at one is always told."""
        nonlocal day
        day += 1
        await log.append(0, [order(day, customer=f"c{day}"), tick(day + 1)])
        risks = [decode_decision(record.value) for record in await log.committed("risk", 0)]
        return bool(risks) and isinstance(risks[-1], RiskRecord) and risks[-1].model == model

    async with running_roles(log.settings, ["clock", "detect", "learn"]):
        await learn_until(log.settings, 2)
        await until(lambda: scored_by(version(2)))
        await going_back(log.settings, version(1))
        await until(lambda: scored_by(version(1)))
