"""The profiles that Redis must hold, made of what the topics hold: each topic by itself, since none waits for another."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from chaos.comparison import Kept, Verdict, compare_maps
from chaos.oracle import Found
from redis import Redis

from schemas.codec import decode_decision
from schemas.decisions import AlertRecord, LifecycleRecord, RiskRecord
from sinks.profiles import OPEN_ALERTS, Change, Listed, change_of
from streams.settings import Settings

Profiles = dict[str, dict[str, str]]


def verdict_on_profiles(settings: Settings, url: str, found: Found) -> Verdict:
    """Compare what a server holds with the last alerts, risks and stages in the topics."""
    redis: Redis = Redis.from_url(url, decode_responses=True)
    try:
        keys: list[str] = list(redis.scan_iter("churn:profile:*"))
        held: dict[str, Any] = {key.removeprefix("churn:profile:"): redis.hgetall(key) for key in keys}
    finally:
        redis.close()
    return compare_profiles(profiles_of(settings, found), held)


def profiles_of(settings: Settings, found: Found) -> Profiles:
    """The profiles of all customers."""
    profiles: Profiles = {}
    for partition in range(settings.partitions):
        for topic in ("alerts", "risk", "lifecycle"):
            for record in _last(found.of(settings, topic, partition)):
                _apply(profiles, record)
    return profiles


def compare_profiles(expected: Mapping[str, Mapping[str, str]], held: Mapping[str, Mapping[str, str]]) -> Verdict:
    """What is held of each customer. That no alert is open may be said or not: it depends on what was there before."""
    return compare_maps("profiles", _texts(expected), _texts(held))


def _last(rows: Iterable[Kept]) -> list[AlertRecord | RiskRecord | LifecycleRecord]:
    """The record of each key that holds: the last one, unless it was taken out."""
    last: dict[bytes | None, bytes | None] = {row.key: row.value for row in rows}
    records = [decode_decision(value) for value in last.values() if value is not None]
    return [record for record in records if isinstance(record, AlertRecord | RiskRecord | LifecycleRecord)]


def _apply(profiles: Profiles, record: AlertRecord | RiskRecord | LifecycleRecord) -> None:
    change = change_of(record)
    if not isinstance(change, Change):
        return
    profile = profiles.setdefault(change.customer_id, {})
    profile.update(change.fields)
    profile[change.sequence_field] = str(change.sequence)
    if isinstance(change.lists, Listed):
        profile[OPEN_ALERTS] = str(int(profile.get(OPEN_ALERTS, 0)) + len(change.fields))


def _texts(profiles: Mapping[str, Mapping[str, str]]) -> dict[bytes, bytes]:
    texts = {}
    for customer, profile in profiles.items():
        fields = {name: value for name, value in profile.items() if (name, value) != (OPEN_ALERTS, "0")}
        if fields:
            texts[customer.encode()] = json.dumps(fields, sort_keys=True).encode()
    return texts
