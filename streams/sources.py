"""Which topics events come from, which feed each belongs to, and how its records are read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from streams.door_terms import DoorTerms, door_faults, read_door
from streams.settings import Settings, Topic
from streams.topics import DEFAULT_SOURCES

ACTIONS_FEED: Final = "actions"
"""Acks, snoozes, verdicts and erasures: what people do may come at any time, and nobody waits for it, so it has no clock."""

REDRIVE_FEED: Final = "redrive"
"""What comes again out of the dead letters was missing from another feed's clock already, and moves no clock itself."""

_WITHOUT_CLOCK: Final = frozenset({ACTIONS_FEED, REDRIVE_FEED})
_WANTED: Final = (
    "an entry is {topic: NAME, feed: NAME}, if its records are not events yet with mapping: FILE, and if webhooks bring them "
    "with door: {signature: NAME}"
)
_KEYS: Final = frozenset({"topic", "feed", "mapping", "door"})
_TOPIC_NAME: Final = re.compile(r"(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}")
_GONE: Final = {
    "epoch": "is kept in churn.progress with the id of the topic now: leave it out, and if it is not 0 say it once, "
    "before a worker starts, with `churnwatch sources reset TOPIC --epoch N`"
}


class SourcesError(ValueError):
    """The file of sources cannot be used; the message has one line for each fault."""


@dataclass(frozen=True)
class Source:
    """A topic that ingest reads."""

    topic: str
    feed: str
    mapping: Path | None = None
    """Turns a record into events; without it the record is an event."""
    door: DoorTerms | None = None
    """What the role `door` writes into it; None: nothing comes over HTTP."""


def load_sources(settings: Settings) -> tuple[Source, ...]:
    """The sources of an installation: those of the file that the settings name, else the default ones.

    The topics of actions and of redriven records are always among them.

    Raises:
        SourcesError: the file cannot be read or has faults.
    """
    actions, redrive = Source(settings.topic("actions"), ACTIONS_FEED), Source(settings.topic("redrive"), REDRIVE_FEED)
    if settings.sources is None:
        named = tuple(Source(settings.source_prefix + name, name) for name in DEFAULT_SOURCES)
    else:
        named = read_sources(settings.sources)
    taken = {source.topic for source in named}
    if redrive.topic in taken:
        raise SourcesError(
            f"{settings.sources}: leave {redrive.topic} out: it is read anyway, each record as its first topic is"
        )
    if ours := sorted(taken & {settings.topic(name) for name in get_args(Topic)} - {actions.topic}):
        raise SourcesError(f"{settings.sources}: {', '.join(ours)}: what churnwatch writes itself cannot be a source")
    return (*named, redrive) if actions.topic in taken else (*named, actions, redrive)


def read_sources(path: Path) -> tuple[Source, ...]:
    """The sources of a file: `sources: [{topic, feed, mapping, door}]`; a mapping's path begins at the file's folder.

    Raises:
        SourcesError: the file cannot be read, or has faults: every one is told, with its line.
    """
    try:
        document = YAML().load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise SourcesError(f"the file of sources, {path}: {why}") from None
    entries = document.get("sources") if isinstance(document, CommentedMap) else None
    if not isinstance(entries, CommentedSeq) or not entries:
        raise SourcesError(f"{path}: a list `sources` with at least one entry is wanted; {_WANTED}")
    faults: list[str] = []
    sources: list[Source] = []
    for index, entry in enumerate(entries):
        where = f"{path}:{entries.lc.item(index)[0] + 1}"
        found = _entry_faults(entry, path.parent, {source.topic for source in sources})
        faults.extend(f"{where}: {fault}" for fault in found)
        if not found:
            sources.append(_source(entry, path.parent))
    if faults:
        raise SourcesError("\n".join(faults))
    return tuple(sources)


def topics_by_feed(sources: tuple[Source, ...]) -> dict[str, tuple[str, ...]]:
    """The source topics of each feed that has a clock, in the order of the sources.

    >>> topics_by_feed((Source("shop", "orders"), Source("web", "orders"), Source("app", "logins")))
    {'orders': ('shop', 'web'), 'logins': ('app',)}
    """
    topics: dict[str, tuple[str, ...]] = {}
    for source in sources:
        if source.feed in _WITHOUT_CLOCK:
            continue
        topics[source.feed] = (*topics.get(source.feed, ()), source.topic)
    return topics


def _source(entry: Mapping[str, Any], folder: Path) -> Source:
    mapping = folder / entry["mapping"] if entry.get("mapping") else None
    door = read_door(entry["door"], folder) if entry.get("door") is not None else None
    return Source(entry["topic"], entry["feed"], mapping, door)


def _entry_faults(entry: object, folder: Path, taken: set[str]) -> list[str]:
    if not isinstance(entry, CommentedMap):
        return [_WANTED]
    faults = [f"`{name}` {_GONE.get(name, f'is not known here; {_WANTED}')}" for name in entry if name not in _KEYS]
    faults += [
        f"`{name}` is {entry.get(name)!r}: a name is wanted"
        for name in ("topic", "feed")
        if not isinstance(entry.get(name), str) or not entry[name]
    ]
    if not faults and _TOPIC_NAME.fullmatch(entry["topic"]) is None:
        faults.append(f"`topic` is {entry['topic']!r}: Kafka's names are of letters, digits, `.`, `_` and `-`, 249 at most")
    if not faults and "/" in entry["feed"]:
        faults.append(f"`feed` is {entry['feed']!r}: a name without `/` is wanted")
    if entry.get("feed") == REDRIVE_FEED:
        faults.append(f"`feed` is {REDRIVE_FEED!r}, which is the feed of redriven records: choose another name")
    if entry.get("topic") in taken:
        faults.append(f"the topic {entry['topic']} stands in the file twice: a record has one reading")
    mapping = entry.get("mapping")
    if mapping is not None and not (isinstance(mapping, str) and (folder / mapping).is_file()):
        faults.append(f"`mapping` is {mapping!r}: there is no such file in {folder.resolve()}")
    if entry.get("door") is not None:
        faults.extend(door_faults(entry["door"]))
    return faults
