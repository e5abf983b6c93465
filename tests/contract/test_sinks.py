"""What every sink promises: whatever is repeated, in whatever order, the newest record of each kind stands."""

import itertools
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import pytest
from redis import Redis
from valkey_server import running_valkey

from schemas.codec import decode_decision
from schemas.decisions import AlertRecord, AlertState, LifecycleRecord, RiskReason, RiskRecord, Versions
from sinks.base import Delivery, Forgotten, Notice, Sink, SinkError
from sinks.memory import MemorySink
from sinks.redis_profiles import RedisProfiles


class Observed(Protocol):
    """A sink, and what it keeps of a customer."""

    @property
    def sink(self) -> Sink: ...

    def profile(self, customer_id: str) -> Mapping[str, str]: ...


class InMemory:
    def __init__(self) -> None:
        self.sink = MemorySink()

    def profile(self, customer_id: str) -> Mapping[str, str]:
        return self.sink.profiles.get(customer_id, {})


class InValkey:
    def __init__(self, url: str, tenant: str) -> None:
        self.sink = RedisProfiles(url, tenant)
        self.client = Redis.from_url(url, decode_responses=True)

    def profile(self, customer_id: str) -> Mapping[str, str]:
        found: Any = self.client.hgetall(self.sink.key(customer_id))
        return dict(found)


@pytest.fixture(scope="module")
def valkey_url() -> Iterator[str]:
    with running_valkey() as url:
        yield url


@pytest.fixture(params=["memory", "redis"])
async def observed(request: pytest.FixtureRequest, unique: Callable[[str], str]) -> AsyncIterator[Observed]:
    kept: Observed = (
        InMemory() if request.param == "memory" else InValkey(request.getfixturevalue("valkey_url"), unique("shop"))
    )
    yield kept
    await kept.sink.close()


def alert(sequence: int, state: AlertState, alert_id: str = "a1", customer: str = "ada") -> AlertRecord:
    return AlertRecord(
        customer_id=customer,
        alert_id=alert_id,
        sequence=sequence,
        state=state,
        at_ms=sequence * 10,
        decided_ms=sequence * 10,
        rule="silent@1",
        kind="absence",
        episode_start_ms=0,
        due_ms=10,
        severity="high",
        mode="live",
        versions=Versions(engine=1, rules="1"),
    )


def risk(sequence: int, probability: float | None = 0.5, customer: str = "ada") -> RiskRecord:
    return RiskRecord(
        customer_id=customer,
        sequence=sequence,
        at_ms=sequence,
        probability=probability,
        band="high" if sequence % 2 else "low",
        basis="model" if probability is not None else "rules",
        reasons=[RiskReason(feature="gap", value=2.0, contribution=0.25 * sequence)],
        features={"orders": 2.0, "gap": float(sequence)},
        model="m1" if probability is not None else None,
    )


def stage(sequence: int, customer: str = "ada") -> LifecycleRecord:
    return LifecycleRecord(
        customer_id=customer, sequence=sequence, at_ms=sequence, stage="active" if sequence % 2 else "silent", cause="order"
    )


HISTORY: list[Delivery] = [
    risk(1),
    stage(1),
    alert(1, "warned"),
    alert(2, "opened"),
    alert(1, "opened", "a2"),
    risk(2, None),
    alert(3, "resolved"),
    stage(2),
    alert(2, "acked", "a2"),
    alert(1, "opened", "a3"),
    alert(2, "retracted", "a3"),
    risk(3, 0.75),
]


async def test_a_profile_holds_risk_stage_and_open_alerts(observed: Observed) -> None:
    await observed.sink.deliver(HISTORY)

    profile = observed.profile("ada")
    assert (profile["probability"], profile["band"], profile["basis"], profile["model"]) == ("0.75", "high", "model", "m1")
    assert profile["features"] == '{"gap":3.0,"orders":2.0}'
    assert profile["reasons"] == '[{"feature":"gap","value":2.0,"contribution":0.75}]'
    assert (profile["stage"], profile["stage_since_ms"], profile["stage_cause"]) == ("silent", "2", "order")
    assert [name for name in profile if name.startswith("alert:")] == ["alert:a2"]
    assert decode_decision(profile["alert:a2"].encode()) == alert(2, "acked", "a2")
    assert profile["open_alerts"] == "1"


async def test_the_same_records_again_change_nothing(observed: Observed) -> None:
    await observed.sink.deliver(HISTORY)
    before = dict(observed.profile("ada"))

    for again in (HISTORY, HISTORY[:5], HISTORY[3:4] * 3):
        await observed.sink.deliver(again)
        assert observed.profile("ada") == before


async def test_any_order_of_records_and_batches_ends_in_the_same_profile(observed: Observed) -> None:
    await observed.sink.deliver([as_customer(record, "in-order") for record in HISTORY])
    wanted = observed.profile("in-order")

    for seed in range(60):
        customer, shuffler = f"c{seed}", random.Random(seed)
        records = [as_customer(record, customer) for record in HISTORY + shuffler.choices(HISTORY, k=5)]
        shuffler.shuffle(records)
        for batch in batches(records, shuffler):
            await observed.sink.deliver(batch)
        assert without_customer(observed.profile(customer), customer) == without_customer(wanted, "in-order"), seed


async def test_every_order_of_the_transitions_of_an_alert_ends_closed(observed: Observed) -> None:
    steps = [alert(1, "warned"), alert(2, "opened"), alert(3, "resolved"), alert(3, "resolved")]

    for number, order in enumerate(itertools.permutations(steps)):
        await observed.sink.deliver([as_customer(step, f"c{number}") for step in order])
        profile = observed.profile(f"c{number}")
        assert "alert:a1" not in profile
        assert profile["open_alerts"] == "0"


async def test_an_older_record_of_one_kind_does_not_hinder_a_newer_one_of_another(observed: Observed) -> None:
    await observed.sink.deliver([risk(9), stage(1), alert(1, "opened")])
    await observed.sink.deliver([risk(8), stage(2)])

    profile = observed.profile("ada")
    assert (profile["sequence:risk"], profile["stage"], profile["open_alerts"]) == ("9", "silent", "1")


async def test_a_risk_without_a_model_takes_the_probability_away(observed: Observed) -> None:
    await observed.sink.deliver([risk(1), risk(2, None)])

    profile = observed.profile("ada")
    assert "probability" not in profile
    assert "model" not in profile
    assert profile["basis"] == "rules"


async def test_customers_are_kept_apart_whatever_their_names(observed: Observed) -> None:
    names = ["ada", "ada ", "客户", "a:b", "a\nb", "*"]
    await observed.sink.deliver([risk(index + 1, customer=name) for index, name in enumerate(names)])

    assert [observed.profile(name)["sequence:risk"] for name in names] == ["1", "2", "3", "4", "5", "6"]


async def test_an_empty_batch_and_a_large_one_are_taken(observed: Observed) -> None:
    await observed.sink.deliver([])
    await observed.sink.deliver([risk(number + 1) for number in range(2_500)])

    assert observed.profile("ada")["sequence:risk"] == "2500"


async def test_an_alert_that_is_forgotten_leaves_the_profile_with_its_number(observed: Observed) -> None:
    await observed.sink.deliver([risk(1), alert(1, "opened"), alert(1, "opened", "a2"), alert(2, "resolved", "a2")])
    await observed.sink.deliver([Forgotten("ada", "alert", "a2")])
    profile = observed.profile("ada")
    assert "sequence:alert:a2" not in profile
    assert (profile["band"], profile["open_alerts"]) == ("high", "1")

    await observed.sink.deliver([Forgotten("ada", "alert", "a1"), Forgotten("ada", "alert", "a1")])
    profile = observed.profile("ada")
    assert [name for name in profile if "a1" in name] == []
    assert (profile["band"], profile["open_alerts"]) == ("high", "0")


async def test_a_forgotten_customer_has_no_profile_in_whatever_order_the_topics_are_read(observed: Observed) -> None:
    topics: list[list[Delivery]] = [
        [
            alert(1, "opened"),
            alert(2, "acked"),
            alert(1, "opened", "a2"),
            Forgotten("ada", "alert", "a1"),
            Forgotten("ada", "alert", "a2"),
        ],
        [risk(1), risk(2), Forgotten("ada", "risk")],
        [stage(1), Forgotten("ada", "stage")],
    ]
    await observed.sink.deliver([risk(1, customer="bob")])
    for order in itertools.permutations(topics):
        await observed.sink.deliver([record for topic in order for record in topic])
        assert observed.profile("ada") == {}
    for seed in range(30):
        for batch in batches(interleaved(topics, random.Random(seed)), random.Random(seed)):
            await observed.sink.deliver(batch)
        assert observed.profile("ada") == {}, seed
    assert observed.profile("bob")["sequence:risk"] == "1"


async def test_a_customer_who_was_forgotten_can_be_known_again(observed: Observed) -> None:
    await observed.sink.deliver([risk(9), alert(7, "opened"), Forgotten("ada", "alert", "a1"), Forgotten("ada", "risk")])
    await observed.sink.deliver([risk(1), alert(1, "opened", "a9")])

    profile = observed.profile("ada")
    assert (profile["sequence:risk"], profile["open_alerts"]) == ("1", "1")


async def test_a_customer_who_is_known_again_keeps_what_is_new_in_whatever_order_the_topics_are_read(
    observed: Observed,
) -> None:
    topics: list[list[Delivery]] = [
        [alert(1, "opened"), Forgotten("ada", "alert", "a1"), alert(1, "opened", "a2")],
        [risk(7), Forgotten("ada", "risk"), risk(1)],
        [stage(3), Forgotten("ada", "stage")],
    ]
    for seed in range(30):
        for batch in batches(interleaved(topics, random.Random(seed)), random.Random(seed)):
            await observed.sink.deliver(batch)
        profile = observed.profile("ada")
        assert (profile["sequence:risk"], profile["open_alerts"], profile.get("stage")) == ("1", "1", None), seed
        assert sorted(name for name in profile if name.startswith("alert:")) == ["alert:a2"]
        await observed.sink.deliver([Forgotten("ada", "risk"), Forgotten("ada", "alert", "a2")])
        assert observed.profile("ada") == {}


async def test_to_forget_what_is_not_known_changes_nothing(observed: Observed) -> None:
    await observed.sink.deliver([risk(1)])
    before = dict(observed.profile("ada"))
    await observed.sink.deliver(
        [Forgotten("eve", "risk"), Forgotten("eve", "stage"), Forgotten("eve", "alert", "a1"), Forgotten("ada", "alert", "a1")]
    )

    assert observed.profile("ada") == before
    assert observed.profile("eve") == {}


async def test_an_alert_without_a_customer_touches_no_profile(observed: Observed) -> None:
    about_feed = msgspec.structs.replace(alert(1, "opened"), customer_id=None, feed="orders")
    await observed.sink.deliver([about_feed, risk(1), about_feed])

    assert "open_alerts" not in observed.profile("ada")
    assert observed.profile("") == observed.profile("None") == {}


async def test_an_inhibited_alert_is_in_the_profile_all_the_same(observed: Observed) -> None:
    inhibited = msgspec.structs.replace(alert(1, "opened"), inhibited_by="says-more")
    await observed.sink.deliver([inhibited])

    assert decode_decision(observed.profile("ada")["alert:a1"].encode()) == inhibited


# --- Redis alone


async def test_a_redis_that_is_not_there_may_be_tried_again() -> None:
    with running_valkey() as url:
        sink = RedisProfiles(url)
        await sink.deliver([risk(1)])
    with pytest.raises(SinkError) as caught:
        await sink.deliver([risk(2)])
    await sink.close()

    assert caught.value.retryable


async def test_a_redis_that_comes_back_empty_is_written_to_as_before() -> None:
    with running_valkey() as url:
        sink = RedisProfiles(url)
        await sink.deliver([risk(1)])
        client = Redis.from_url(url)
        client.flushall()
        client.script_flush()
        await sink.deliver([risk(2)])
        assert client.hget(sink.key("ada"), "sequence:risk") == b"2"
        client.close()
        await sink.close()


async def test_a_redis_that_is_full_may_be_tried_again() -> None:
    with running_valkey() as url:
        client = Redis.from_url(url)
        client.config_set("maxmemory", 1)
        sink = RedisProfiles(url)
        with pytest.raises(SinkError) as caught:
            await sink.deliver([risk(1)])
        assert caught.value.retryable
        client.config_set("maxmemory", 0)
        await sink.deliver([risk(1)])
        client.close()
        await sink.close()


async def test_a_key_that_holds_something_else_is_refused_and_the_others_are_written() -> None:
    with running_valkey() as url:
        client = Redis.from_url(url)
        sink = RedisProfiles(url)
        client.set(sink.key("bob"), "mine")
        bobs: list[Delivery] = [
            risk(1, customer="bob"),
            stage(1, customer="bob"),
            Forgotten("bob", "risk"),
            Forgotten("bob", "alert", "a1"),
        ]
        about_feed = msgspec.structs.replace(alert(1, "opened"), customer_id=None, feed="orders")
        with pytest.raises(SinkError) as caught:
            await sink.deliver([risk(1), about_feed, *bobs, stage(1)])
        assert (caught.value.retryable, caught.value.refused) == (False, (2, 3, 4, 5))
        assert client.get(sink.key("bob")) == b"mine"
        assert client.hget(sink.key("ada"), "stage") == b"active"
        client.close()
        await sink.close()


def interleaved(topics: Sequence[Sequence[Delivery]], shuffler: random.Random) -> list[Delivery]:
    """The records of several topics as one stream that keeps the order within each."""
    whose = [number for number, topic in enumerate(topics) for _ in topic]
    shuffler.shuffle(whose)
    rests = [iter(topic) for topic in topics]
    return [next(rests[number]) for number in whose]


def as_customer(record: Delivery, customer: str) -> Delivery:
    assert not isinstance(record, Forgotten | Notice)
    return msgspec.structs.replace(record, customer_id=customer)


def without_customer(profile: Mapping[str, str], customer: str) -> dict[str, str]:
    return {name: text.replace(f'"customer_id":"{customer}"', "") for name, text in profile.items()}


def batches(records: Sequence[Delivery], shuffler: random.Random) -> Iterator[Sequence[Delivery]]:
    first = 0
    while first < len(records):
        size = shuffler.randint(1, 6)
        yield records[first : first + size]
        first += size
