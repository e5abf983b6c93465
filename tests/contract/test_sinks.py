"""What every sink promises: whatever is repeated, in whatever order, the newest record of each kind stands."""

import itertools
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, cast

import msgspec
import pytest
from redis import Redis
from valkey_server import running_valkey

from schemas.codec import decode_decision
from schemas.decisions import AlertRecord, AlertState, LifecycleRecord, RiskReason, RiskRecord, Versions
from schemas.rule_kinds import Severity
from sinks.base import Delivery, Forgotten, Notice, Sink, SinkError
from sinks.memory import MemorySink
from sinks.profiles import LATEST
from sinks.redis_client import RedisTerms
from sinks.redis_store import RedisStore
from sinks.stores import StoreMoved

Ranking = dict[str, float]


class Observed(Protocol):
    """A sink, and what it keeps."""

    @property
    def sink(self) -> Sink: ...

    def profile(self, customer_id: str) -> Mapping[str, str]: ...

    def lists(self) -> dict[str, Ranking]:
        """Every list that has somebody: its name, and who is in it with which score."""

    def latest(self) -> list[str]:
        """The alerts of the last records."""


class InMemory:
    def __init__(self) -> None:
        self.sink = MemorySink()

    def profile(self, customer_id: str) -> Mapping[str, str]:
        return self.sink.profiles.get(customer_id, {})

    def lists(self) -> dict[str, Ranking]:
        found: dict[str, Ranking] = defaultdict(dict)
        for customer, ranked in self.sink.ranked.items():
            found["ranking"][customer] = ranked.rank
            if ranked.probability is not None:
                found["risk"][customer] = ranked.probability
            if ranked.owner is not None:
                found[f"ranking:{ranked.owner}"][customer] = ranked.rank
        for (alert_id, customer), listed in self.sink.open.items():
            owned = [f"alerts:owner:{listed.owner}"] if listed.owner is not None else []
            for name in ("alerts", f"alerts:severity:{listed.severity}", *owned):
                found[name][f"{alert_id} {customer}"] = listed.due_ms
        return dict(found)

    def latest(self) -> list[str]:
        return [alert_id for alert_id, _ in self.sink.latest]


class InValkey:
    def __init__(self, url: str, prefix: str) -> None:
        self.sink = RedisStore(RedisTerms(url), f"{prefix}:")
        self.client: Any = Redis.from_url(url, decode_responses=True)

    def profile(self, customer_id: str) -> Mapping[str, str]:
        return dict(self.client.hgetall(self.sink.keys.profile(customer_id)))

    def lists(self) -> dict[str, Ranking]:
        prefix, patterns = self.sink.lists.prefix, self.sink.lists.patterns()[:-1]
        keys = {key for pattern in patterns for key in self.client.scan_iter(pattern)}
        return {key.removeprefix(prefix): dict(self.client.zrange(key, 0, -1, withscores=True)) for key in keys}

    def latest(self) -> list[str]:
        return [fields["alert_id"] for _, fields in self.client.xrange(self.sink.lists.latest)]


@pytest.fixture(scope="module")
def valkey_url() -> Iterator[str]:
    with running_valkey() as url:
        yield url


@pytest.fixture(params=["memory", "redis"])
async def observed(request: pytest.FixtureRequest, unique: Callable[[str], str]) -> AsyncIterator[Observed]:
    kept: InMemory | InValkey = (
        InMemory() if request.param == "memory" else InValkey(request.getfixturevalue("valkey_url"), unique("shop"))
    )
    if isinstance(kept, InValkey):
        await kept.sink.positions(())
    yield kept
    await kept.sink.close()


def alert(
    sequence: int,
    state: AlertState,
    alert_id: str = "a1",
    customer: str = "ada",
    severity: Severity = "high",
    owner: str | None = None,
) -> AlertRecord:
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
        due_ms=10 + len(alert_id),
        severity=severity,
        owner=owner,
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


# --- the lists


async def test_customers_are_ranked_by_what_is_at_risk_then_by_probability_then_by_band(observed: Observed) -> None:
    await observed.sink.deliver(
        [
            valued(1, "dear", 0.5, 1000.0, "kim"),
            valued(1, "cheap", 0.9, 10.0, "lee"),
            valued(1, "unknown", 0.75, None, "kim"),
            risk(1, None, "ruled"),
            risk(2, None, "calm"),
        ]
    )
    lists = observed.lists()

    assert lists["ranking"] == {"dear": 500.0, "cheap": 9.0, "unknown": -0.25, "ruled": -3.0, "calm": -5.0}
    assert lists["ranking:kim"] == {"dear": 500.0, "unknown": -0.25}
    assert lists["ranking:lee"] == {"cheap": 9.0}
    assert lists["risk"] == {"dear": 0.5, "cheap": 0.9, "unknown": 0.75}
    profile = observed.profile("dear")
    assert (profile["tier"], profile["owner"], profile["value"]) == ("gold", "kim", "1000.0")


async def test_a_customer_moves_to_the_list_of_another_owner_and_out_of_all_when_forgotten(observed: Observed) -> None:
    await observed.sink.deliver([valued(1, "ada", 0.5, 100.0, "kim"), valued(2, "ada", 0.5, 100.0, "lee")])
    assert observed.lists() == {"ranking": {"ada": 50.0}, "ranking:lee": {"ada": 50.0}, "risk": {"ada": 0.5}}

    await observed.sink.deliver([risk(3, None)])
    assert observed.lists() == {"ranking": {"ada": -3.0}}
    await observed.sink.deliver([Forgotten("ada", "risk")])
    assert observed.lists() == {}


async def test_open_alerts_are_listed_by_severity_and_owner_as_their_newest_record_says(observed: Observed) -> None:
    await observed.sink.deliver([alert(1, "warned"), alert(1, "opened", "b2", "bob", "critical", "kim")])
    assert observed.lists() == {
        "alerts": {"a1 ada": 12, "b2 bob": 12},
        "alerts:severity:high": {"a1 ada": 12},
        "alerts:severity:critical": {"b2 bob": 12},
        "alerts:owner:kim": {"b2 bob": 12},
    }

    await observed.sink.deliver([alert(2, "resolved"), alert(2, "acked", "b2", "bob", "info", "lee")])
    assert observed.lists() == {
        "alerts": {"b2 bob": 12},
        "alerts:severity:info": {"b2 bob": 12},
        "alerts:owner:lee": {"b2 bob": 12},
    }
    await observed.sink.deliver([Forgotten("bob", "alert", "b2")])
    assert observed.lists() == {}


async def test_lists_are_the_same_in_any_order_of_records_and_batches() -> None:
    history: list[Delivery] = [
        valued(1, "ada", 0.5, 100.0, "kim"),
        valued(2, "ada", 0.75, None, "lee"),
        valued(3, "ada", 0.25, 80.0, "kim"),
        alert(1, "opened"),
        alert(2, "acked", owner="kim"),
        alert(3, "acked", severity="critical", owner="lee"),
        alert(1, "opened", "b2"),
        alert(2, "resolved", "b2"),
    ]
    with running_valkey() as url:
        for seed in range(40):
            memory, valkey, shuffler = InMemory(), InValkey(url, f"seed-{seed}"), random.Random(seed)
            await valkey.sink.positions(())
            records = history + shuffler.choices(history, k=4)
            shuffler.shuffle(records)
            for batch in batches(records, shuffler):
                await memory.sink.deliver(batch)
                await valkey.sink.deliver(batch)
            assert valkey.lists() == memory.lists(), seed
            assert valkey.latest() == memory.latest(), seed
            assert valkey.lists()["ranking"] == {"ada": 20.0}
            assert valkey.lists()["alerts:severity:critical"] == valkey.lists()["alerts"]
            await valkey.sink.close()


async def test_the_last_records_of_alerts_are_a_stream_that_ends_and_repeats_nothing(observed: Observed) -> None:
    await observed.sink.deliver([alert(1, "opened"), alert(2, "acked"), alert(1, "opened", "b2")])
    await observed.sink.deliver([alert(1, "opened"), alert(2, "acked"), alert(2, "resolved", "b2")])
    assert observed.latest() == ["a1", "a1", "b2", "b2"]

    await observed.sink.deliver([alert(1, "opened", f"c{number}") for number in range(LATEST)])
    assert observed.latest() == [f"c{number}" for number in range(LATEST)]


async def test_nothing_of_a_forgotten_customer_is_among_the_last_records(observed: Observed) -> None:
    await observed.sink.deliver([alert(1, "opened"), alert(1, "opened", "b2", "bob"), alert(2, "resolved")])
    await observed.sink.deliver([Forgotten("ada", "alert", "a1", erased_ms=99)])

    assert observed.latest() == ["b2"]


# --- Redis alone


async def test_a_redis_that_is_not_there_may_be_tried_again() -> None:
    with running_valkey() as url:
        sink = RedisStore(RedisTerms(url))
        await sink.positions(())
        await sink.deliver([risk(1)])
    with pytest.raises(SinkError) as caught:
        await sink.deliver([risk(2)])
    await sink.close()

    assert caught.value.retryable


async def test_a_redis_that_was_emptied_takes_nothing_until_its_positions_were_asked_for() -> None:
    with running_valkey() as url:
        store, client = RedisStore(RedisTerms(url)), Redis.from_url(url)
        assert await store.positions(["alerts/0", "risk/1"]) == {"alerts/0": 0, "risk/1": 0}
        await store.deliver([risk(1)])
        assert await store.advance({"risk/1": 7}) == {"alerts/0": 0, "risk/1": 7}
        client.flushall()
        client.script_flush()
        with pytest.raises(StoreMoved):
            await store.deliver([risk(2)])
        assert client.keys() == []
        assert await store.positions(["alerts/0", "risk/1"]) == {"alerts/0": 0, "risk/1": 0}
        await store.deliver([risk(2)])
        assert client.hget(store.keys.profile("ada"), "sequence:risk") == b"2"
        client.close()
        await store.close()


async def test_a_redis_that_was_emptied_behind_a_batch_does_not_take_its_position() -> None:
    with running_valkey() as url:
        store, client = RedisStore(RedisTerms(url)), Redis.from_url(url)
        await store.positions(["risk/1"])
        await store.deliver([risk(1)])
        client.flushall()
        with pytest.raises(StoreMoved):
            await store.advance({"risk/1": 1})
        assert await store.positions(["risk/1"]) == {"risk/1": 0}
        client.close()
        await store.close()


async def test_a_redis_that_is_an_older_copy_of_itself_says_where_it_stands() -> None:
    with running_valkey() as url:
        store, client = RedisStore(RedisTerms(url)), cast("Any", Redis.from_url(url))
        await store.positions(["risk/1"])
        await store.advance({"risk/1": 5})
        older = client.hgetall(store.keys.layout)
        await store.advance({"risk/1": 9})
        client.hset(store.keys.layout, mapping=older)
        with pytest.raises(StoreMoved, match="risk/1 is at 5, not at 9"):
            await store.tend()
        assert await store.positions(["risk/1"]) == {"risk/1": 5}
        client.close()
        await store.close()


async def test_an_advance_whose_answer_was_lost_may_be_repeated() -> None:
    with running_valkey() as url:
        store = RedisStore(RedisTerms(url))
        await store.positions(["risk/1"])
        await store.advance({"risk/1": 5})
        store._positions["risk/1"] = 0  # what it would believe
        assert await store.advance({"risk/1": 5}) == {"risk/1": 5}
        await store.close()


async def test_keys_of_another_layout_are_left_alone_and_it_is_said_what_to_do() -> None:
    with running_valkey() as url:
        store, client = RedisStore(RedisTerms(url)), Redis.from_url(url)
        client.hset(store.keys.layout, mapping={"version": "7", "run": "r"})
        with pytest.raises(SinkError, match=r"layout 7, and this release writes 1: .* `churnwatch rebuild redis`") as caught:
            await store.positions(["risk/1"])
        assert caught.value.retryable
        assert client.hgetall(store.keys.layout) == {b"version": b"7", b"run": b"r"}
        client.close()
        await store.close()


async def test_a_redis_that_is_full_may_be_tried_again() -> None:
    with running_valkey() as url:
        client = Redis.from_url(url)
        sink = RedisStore(RedisTerms(url))
        await sink.positions(())
        client.config_set("maxmemory", 1)
        with pytest.raises(SinkError, match="is full") as caught:
            await sink.deliver([risk(1)])
        assert caught.value.retryable
        assert client.exists(sink.keys.profile("ada")) == 0
        client.config_set("maxmemory", 0)
        await sink.deliver([risk(1)])
        client.close()
        await sink.close()


async def test_a_key_that_holds_something_else_is_refused_and_the_others_are_written() -> None:
    with running_valkey() as url:
        client = Redis.from_url(url)
        sink = RedisStore(RedisTerms(url))
        await sink.positions(())
        client.set(sink.keys.profile("bob"), "mine")
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
        assert client.get(sink.keys.profile("bob")) == b"mine"
        assert client.hget(sink.keys.profile("ada"), "stage") == b"active"
        client.close()
        await sink.close()


def valued(sequence: int, customer: str, probability: float, value: float | None, owner: str | None) -> RiskRecord:
    return msgspec.structs.replace(risk(sequence, probability, customer), tier="gold", value=value, owner=owner)


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
