"""What Redis holds and what the topics say that it must hold: equal, or a test fails."""

from typing import Any

from aiokafka.structs import TopicPartition
from detect_log import reading
from redis import Redis

from sinks.memory import MemorySink
from sinks.profiles import OPEN_ALERTS
from sinks.redis_layout import Keys
from streams.delivered import DELIVERED, delivery_of
from streams.settings import Settings

KEYS = Keys()


async def as_the_topics_say(settings: Settings) -> MemorySink:
    """All that the topics hold now, told to a sink that remembers."""
    sink = MemorySink()
    for topic in DELIVERED:
        for partition in range(settings.partitions):
            async with reading(settings, TopicPartition(settings.topic(topic), partition)) as records:
                told = [delivery_of(settings, record) for record in records]
                await sink.deliver([one for one in told if one is not None])
    return sink


async def differences(settings: Settings, url: str) -> list[str]:
    """Where Redis is not as the topics say, in words; nothing where it is."""
    client: Any = Redis.from_url(url, decode_responses=True)
    try:
        wanted, found = await as_the_topics_say(settings), dict[str, dict[str, str]]()
        for key in client.scan_iter(f"{KEYS.profiles}*"):
            found[key.removeprefix(KEYS.profiles)] = client.hgetall(key)
        profiles = {customer: profile for customer, profile in wanted.profiles.items() if profile}
        told = [
            f"profile of {customer}: {found.get(customer)} is not {profiles.get(customer)}"
            for customer in sorted(profiles.keys() | found.keys())
            if _said(found.get(customer, {})) != _said(profiles.get(customer, {}))
        ]
        ranking = dict(client.zrange(KEYS.lists.ranking, 0, -1, withscores=True))
        alerts = dict(client.zrange(KEYS.lists.alerts, 0, -1, withscores=True))
        if ranking != {customer: ranked.rank for customer, ranked in wanted.ranked.items()}:
            told.append(f"the ranking is {ranking}")
        if alerts != {f"{alert} {customer}": listed.due_ms for (alert, customer), listed in wanted.open.items()}:
            told.append(f"the open alerts are {alerts}")
        return told
    finally:
        client.close()


def _said(profile: dict[str, str]) -> dict[str, str]:
    """That no alert is open may be said or not: it depends on what was there before."""
    return {name: text for name, text in profile.items() if (name, text) != (OPEN_ALERTS, "0")}


async def lists_of(url: str) -> dict[str, dict[str, float]]:
    """Every list that readers see."""
    client: Any = Redis.from_url(url, decode_responses=True)
    try:
        keys = {key for pattern in KEYS.lists.patterns()[:-1] for key in client.scan_iter(pattern)}
        return {key: dict(client.zrange(key, 0, -1, withscores=True)) for key in keys}
    finally:
        client.close()
