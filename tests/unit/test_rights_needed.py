"""Which rights a role asks the broker for, before anybody is asked."""

from streams.door_terms import DoorTerms
from streams.rights import DESCRIBE, READ, WRITE, _needed
from streams.settings import load_settings
from streams.sources import Source

SOURCES = [Source("shop", "orders", door=DoorTerms("none")), Source("web", "logins")]


def on_sources(role: str) -> dict[str, set[object]]:
    found: dict[str, set[object]] = {"shop": set(), "web": set()}
    for (topic, operation), roles in _needed(load_settings(prefix="t."), [role], SOURCES):  # type: ignore[list-item]
        assert roles == [role]
        if topic in found:
            found[topic].add(operation)
    return found


def test_the_door_writes_the_sources_that_have_one_and_no_others() -> None:
    assert on_sources("door") == {"shop": {WRITE}, "web": {DESCRIBE}}


def test_ingest_reads_every_source_whoever_writes_it() -> None:
    assert on_sources("ingest") == {"shop": {READ}, "web": {READ}}
