"""`churnwatch rules check`, `show`, `diff` and `publish`: look at a rules file, and put it in force."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.structs import TopicPartition

from detectors.rules_compiled import CompiledRules
from schemas.codec import encode
from schemas.control import RulesPublished
from schemas.rule_kinds import Mode
from schemas.rules import RuleSet
from streams.kafka_security import aiokafka_options
from streams.rules_diff import Change, changes_between, places, told
from streams.rules_file import load_rules
from streams.rules_trail import KEY, Publication, Trail, digest_of, rule_name, trail_in
from streams.settings import Settings
from streams.topic_tail import read_to_end, reader
from streams.wallclock import now_ms

_MODES: Final[dict[Mode, str]] = {"live": "", "shadow": " (shadow)"}


class PublishRefused(RuntimeError):  # noqa: N818 - what happened to the file
    """The file is in order, but may not take the place of what is in force; the message says what to do."""


class RulesNotFound(RuntimeError):  # noqa: N818 - what was looked for
    """No rules are in force; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Published:
    """Where a rule set stands in `churn.control`; its offset is its revision."""

    version: str
    offset: int
    is_new: bool

    def __str__(self) -> str:
        if self.is_new:
            return f"published version {self.version} as revision {self.offset}"
        return f"version {self.version} is in force already, as revision {self.offset}; nothing was published"

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {"version": self.version, "revision": self.offset, "new": self.is_new}


@dataclass(frozen=True, slots=True)
class InForce:
    """The rules that hold, and all that held before them."""

    publication: Publication
    document: RuleSet
    history: tuple[Publication, ...]

    def __str__(self) -> str:
        now = f"in force since {self.publication}: {_summary(self.document)}"
        width = max(len(one.version) for one in self.history)
        past = [f"  {one.version:<{width}}  {one}" for one in self.history]
        return "\n".join([now, "published so far:", *past])

    def as_json(self) -> dict[str, Any]:
        """For machines: the document with what is known of it, and the history without contents."""
        publication: dict[str, Any] = msgspec.to_builtins(self.publication)
        return publication | {"document": msgspec.to_builtins(self.document), "history": msgspec.to_builtins(self.history)}


@dataclass(frozen=True, slots=True)
class Difference:
    """What changes from one rule set to another."""

    old: str
    new: str
    changes: list[Change]

    def __str__(self) -> str:
        if not self.changes:
            return f"{self.old} and {self.new} are the same"
        return f"from {self.old} to {self.new}:\n{told(self.changes)}"

    def as_json(self) -> dict[str, Any]:
        """For machines: each change by its place; `old` or `new` is null where it is not there."""
        changes = [{"place": list(one.place), "old": one.old, "new": one.new} for one in self.changes]
        return {"old": self.old, "new": self.new, "changes": changes}


def check(path: Path | str) -> str:
    """What a rules file defines, in a few lines: its rules, and the feeds whose clocks they need.

    Raises:
        RulesFileError: with every fault of the file.
        OSError: the file cannot be read.
    """
    return f"{path}: {_summary(load_rules(path))}"


def show(settings: Settings) -> InForce:
    """The rules in force, who published them and when, and what was published before.

    Raises:
        RulesNotFound: none are published, or the topic does not exist.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    trail = asyncio.run(_trail(settings))
    if trail is None or trail.in_force is None:
        raise RulesNotFound("no rules are published: `churnwatch rules publish FILE` does it")
    return InForce(*trail.in_force, trail.publications)


def diff_in_force(path: Path | str, settings: Settings) -> Difference:
    """What a file changes in the rules in force.

    Raises:
        RulesFileError: with every fault of the file.
        RulesNotFound: nothing is in force.
        OSError: the file cannot be read.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    new = load_rules(path)
    old = show(settings)
    return Difference(f"version {old.publication.version} in force", str(path), changes_between(old.document, new))


def diff_files(path: Path | str, other: Path | str) -> Difference:
    """What the second file changes in the first.

    Raises:
        RulesFileError: with every fault of one of them.
        OSError: a file cannot be read.
    """
    return Difference(str(path), str(other), changes_between(load_rules(path), load_rules(other)))


def publish(path: Path | str, settings: Settings, by: str) -> Published:
    """Put the rule set of a file in force: send it to `churn.control`, and wait until all in-sync replicas have it.

    A file with faults is not sent, so what is in force stays. The same content again is not sent either; content of
    an earlier version may come back, as a new revision.

    Args:
        path: the rules file.
        settings: broker and topics.
        by: who publishes, for the audit trail.

    Raises:
        RulesFileError: with every fault of the file.
        PublishRefused: other content stands under the same version, of the document or of a rule, or the topic does not
            exist.
        OSError: the file cannot be read.
        aiokafka.errors.KafkaError: the broker does not answer, or refuses.
    """
    return asyncio.run(_published(load_rules(path), settings, by))


async def _published(rule_set: RuleSet, settings: Settings, by: str) -> Published:
    trail = await _trail(settings)
    if trail is None:
        raise PublishRefused(f"the topic {settings.topic('control')} does not exist: `churnwatch topics` creates it")
    _refuse_changed_content(trail, rule_set)
    if trail.in_force is not None and trail.in_force[1] == rule_set:
        return Published(rule_set.version, trail.in_force[0].revision, is_new=False)
    record = RulesPublished(at_ms=now_ms(), version=rule_set.version, revision=0, by=by, document=rule_set)
    return Published(rule_set.version, await _sent(settings, encode(record), trail), is_new=True)


def _refuse_changed_content(trail: Trail, rule_set: RuleSet) -> None:
    """Alerts name a document's and a rule's version as their reason: each stands for one content."""
    earlier = trail.with_version(rule_set.version, digest_of(rule_set))
    if earlier is not None:
        raise PublishRefused(
            f"version {rule_set.version} was published with other content, as {earlier}; "
            f"{_differing(trail.document_of(earlier), rule_set)}. Raise `version`: alerts name it as their reason"
        )
    changed = [(rule, before) for rule in rule_set.rules if (before := trail.with_rule(rule)) is not None]
    if changed:
        lines = [f"rule {rule_name(rule)}: in version {before.version}, {before}" for rule, before in changed]
        raise PublishRefused(
            "\n  ".join(["rules were published with other content under the same version of theirs:", *lines])
            + "\nRaise the `version` of each, or leave it out, so that the document's holds: alerts name it as their reason"
        )


def _differing(document: RuleSet | None, rule_set: RuleSet) -> str:
    if document is None:
        return "what it was is no longer in the topic"
    return f"it differs in {', '.join(places(changes_between(document, rule_set)))}"


async def _trail(settings: Settings) -> Trail | None:
    """What `churn.control` says of rules; None if the topic does not exist."""
    topic = settings.topic("control")
    async with reader(settings) as consumer:
        if topic not in await consumer.topics():
            return None
        return trail_in(await read_to_end(consumer, TopicPartition(topic, 0)))


async def _sent(settings: Settings, value: bytes, trail: Trail) -> int:
    producer: Any = AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap, acks="all", enable_idempotence=True, **aiokafka_options(settings)
    )
    await producer.start()
    try:
        acknowledged = await producer.send_and_wait(
            settings.topic("control"), value, key=KEY, partition=0, headers=[trail.header()]
        )
    finally:
        await producer.stop()
    return int(acknowledged.offset)


def _summary(rule_set: RuleSet) -> str:
    width = max((len(rule.id) for rule in rule_set.rules), default=0)
    compiled = CompiledRules(rule_set)
    count = "1 rule" if len(rule_set.rules) == 1 else f"{len(rule_set.rules)} rules"
    lines = [f"version {rule_set.version} of {rule_set.tenant}, {count}"]
    for rule in rule_set.rules:
        feeds = ", ".join(compiled.by_id[rule.id].feeds) or "no feed"
        lines.append(f"  {rule.id:<{width}}  {rule.kind:<7}  needs {feeds}{_MODES[rule.mode]}")
    return "\n".join(lines)
