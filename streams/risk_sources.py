"""Customers at risk with what is known of them: from the read model in Redis, or from the topics."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.structs import ConsumerRecord, TopicPartition
from redis.exceptions import RedisError

from schemas.codec import decode_decision
from schemas.decisions import CLOSED_STATES, AlertRecord, LifecycleRecord, RiskRecord
from schemas.errors import ContractError
from sinks.profiles import alerts_in, risk_in
from sinks.ranking import rank
from sinks.redis_client import RedisTerms
from sinks.redis_layout import POSITION, VERSION, Keys
from streams.settings import Settings, Topic
from streams.topic_tail import read_through, reader

_MOST_BEHIND: Final = 1_000
"""Of a read model that has so many records of `churn.risk` still to be told, nobody should make a list."""


class ReadModelUnfit(RuntimeError):  # noqa: N818 - a reason to read the topics instead
    """Redis does not know enough; the message says why."""


@dataclass(frozen=True)
class Known:
    """What is known of a customer."""

    risk: RiskRecord
    stage: str | None = None
    alerts: tuple[AlertRecord, ...] = ()
    """Those that are open."""


def foremost(risks: Iterable[RiskRecord], top: int, owner: str | None) -> list[RiskRecord]:
    """Of these the ones to be called first; equal ones by their ids."""
    wanted = (risk for risk in risks if owner is None or risk.owner == owner)
    return heapq.nsmallest(top, wanted, key=lambda risk: (-rank(risk), risk.customer_id))


async def from_redis(settings: Settings, terms: RedisTerms, top: int, owner: str | None) -> list[Known]:
    """The foremost by the lists of the read model.

    Raises:
        ReadModelUnfit: it does not answer, has another layout, or is far behind.
        aiokafka.errors.KafkaError: the broker does not say how far behind.
    """
    client: Any = terms.client(decode_responses=True)
    keys = Keys()
    try:
        await _check(settings, client, keys)
        ranking = keys.lists.ranking if owner is None else keys.lists.ranking_of(owner)
        customers = await client.zrange(ranking, 0, top - 1, desc=True)
        async with client.pipeline(transaction=False) as pipe:
            for customer in customers:
                pipe.hgetall(keys.profile(customer))
            profiles = dict(zip(customers, await pipe.execute(), strict=True))
    except (RedisError, OSError) as error:
        raise ReadModelUnfit(f"{terms} does not answer: {terms.shown(error)}") from None
    finally:
        await client.aclose()
    risks = {customer: risk_in(profile, customer) for customer, profile in profiles.items()}
    return [
        Known(risk, profiles[risk.customer_id].get("stage"), tuple(alerts_in(profiles[risk.customer_id])))
        for risk in foremost((risk for risk in risks.values() if risk is not None), top, owner)
    ]


async def _check(settings: Settings, client: Any, keys: Keys) -> None:  # noqa: ANN401 - as the library
    layout: dict[str, str] = await client.hgetall(keys.layout)
    if layout.get("version") != VERSION:
        raise ReadModelUnfit(f"it has no keys of layout {VERSION}")
    partitions = [TopicPartition(settings.topic("risk"), number) for number in range(settings.partitions)]
    async with reader(settings) as consumer:
        begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    behind = sum(
        max(0, ends[tp] - max(begins[tp], int(layout.get(f"{POSITION}{tp.topic}/{tp.partition}", 0)))) for tp in partitions
    )
    if behind > _MOST_BEHIND:
        raise ReadModelUnfit(f"it is {behind} records behind {settings.topic('risk')}")


async def from_topics(settings: Settings, top: int, owner: str | None) -> list[Known]:
    """The same by all that the topics hold, which takes a while where they hold much.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    risks: list[RiskRecord] = []
    async with reader(settings) as consumer:
        for number in range(settings.partitions):  # a customer is in one: of each only its foremost have to be kept
            latest = await _latest(consumer, settings, "risk", number, None)
            risks = foremost([*risks, *(one for one in latest.values() if isinstance(one, RiskRecord))], top, owner)
        wanted = frozenset(risk.customer_id for risk in risks)
        stages: dict[str, str] = {}
        alerts: dict[str, list[AlertRecord]] = {name: [] for name in wanted}
        for number in range(settings.partitions) if wanted else ():
            for stage in (await _latest(consumer, settings, "lifecycle", number, wanted)).values():
                if isinstance(stage, LifecycleRecord):
                    stages[stage.customer_id] = stage.stage
            for alert in (await _latest(consumer, settings, "alerts", number, wanted)).values():
                if isinstance(alert, AlertRecord) and alert.customer_id is not None and alert.state not in CLOSED_STATES:
                    alerts[alert.customer_id].append(alert)
    return [Known(risk, stages.get(risk.customer_id), tuple(alerts[risk.customer_id])) for risk in risks]


async def _latest(
    consumer: Any,  # noqa: ANN401 - aiokafka has no types
    settings: Settings,
    topic: Topic,
    partition: int,
    wanted: frozenset[str] | None,
) -> dict[bytes, AlertRecord | RiskRecord | LifecycleRecord]:
    """The last record under each key, of these customers or of all."""
    latest: dict[bytes, AlertRecord | RiskRecord | LifecycleRecord] = {}
    async for record in read_through(consumer, TopicPartition(settings.topic(topic), partition)):
        key = record.key or b""
        if record.value is None:
            latest.pop(key, None)
        elif (found := _decision_in(record)) is not None and (wanted is None or found.customer_id in wanted):
            latest[key] = found
    return latest


def _decision_in(record: ConsumerRecord) -> AlertRecord | RiskRecord | LifecycleRecord | None:
    """None: it cannot be read; deliver puts it aside."""
    try:
        found = decode_decision(record.value)
    except ContractError:
        return None
    return found if isinstance(found, AlertRecord | RiskRecord | LifecycleRecord) else None
