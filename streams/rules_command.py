"""`churnwatch rules check` and `publish`: look at a rules file, and put it in force."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord, TopicPartition

from detectors.rules_compiled import CompiledRules
from schemas.codec import decode_record, encode
from schemas.control import RulesPublished
from schemas.errors import ContractError
from schemas.rule_kinds import Mode
from schemas.rules import RuleSet
from streams.rules_file import load_rules
from streams.settings import Settings
from streams.topic_tail import read_to_end, reader
from streams.wallclock import now_ms

KEY: Final = b"rules"
"""Of the one rule set in `churn.control`."""
_MODES: Final[dict[Mode, str]] = {"live": "", "shadow": " (shadow)"}


class PublishRefused(RuntimeError):  # noqa: N818 - what happened to the file
    """The file is in order, but may not take the place of what is in force; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Publication:
    """Where a rule set stands in `churn.control`; its offset is its revision."""

    version: str
    offset: int
    is_new: bool

    def __str__(self) -> str:
        if self.is_new:
            return f"published version {self.version} as revision {self.offset}"
        return f"version {self.version} is in force already, as revision {self.offset}; nothing was published"


def check(path: Path | str) -> str:
    """What a rules file defines, in a few lines: its rules, and the feeds whose clocks they need.

    Raises:
        RulesFileError: with every fault of the file.
        OSError: the file cannot be read.
    """
    return f"{path}: {_summary(load_rules(path))}"


def publish(path: Path | str, settings: Settings, by: str) -> Publication:
    """Put the rule set of a file in force: send it to `churn.control`, and wait until all in-sync replicas have it.

    A file with faults is not sent, so what is in force stays. The same content again is not sent either; content of
    an earlier version may come back, as a new revision.

    Args:
        path: the rules file.
        settings: broker and topics.
        by: who publishes, for the audit trail.

    Raises:
        RulesFileError: with every fault of the file.
        PublishRefused: other content stands under the same version, or the topic does not exist.
        OSError: the file cannot be read.
        aiokafka.errors.KafkaError: the broker does not answer, or refuses.
    """
    return asyncio.run(_published(load_rules(path), settings, by))


async def _published(rule_set: RuleSet, settings: Settings, by: str) -> Publication:
    topic = settings.topic("control")
    known = await _documents(settings, topic)
    for offset, document in known:
        if document.version == rule_set.version and document != rule_set:
            raise PublishRefused(
                f"version {document.version} was published with other content, as revision {offset}; it differs in "
                f"{', '.join(_differences(document, rule_set))}. Raise `version`: alerts name it as their reason"
            )
    if known and known[-1][1] == rule_set:
        return Publication(rule_set.version, known[-1][0], is_new=False)
    record = RulesPublished(at_ms=now_ms(), version=rule_set.version, revision=0, by=by, document=rule_set)
    return Publication(rule_set.version, await _sent(settings, topic, encode(record)), is_new=True)


async def _documents(settings: Settings, topic: str) -> Sequence[tuple[int, RuleSet]]:
    """The rule sets that `churn.control` still holds, with their offsets; the last is in force."""
    async with reader(settings) as consumer:
        if topic not in await consumer.topics():
            raise PublishRefused(f"the topic {topic} does not exist: `churnwatch topics` creates it")
        records = await read_to_end(consumer, TopicPartition(topic, 0))
    found = ((record.offset, _rule_set_in(record)) for record in records if record.key == KEY)
    return [(offset, document) for offset, document in found if document is not None]


def _rule_set_in(record: ConsumerRecord) -> RuleSet | None:
    """None where another release wrote what this one cannot read."""
    try:
        published = decode_record(record.value or b"")
    except ContractError:
        return None
    return published.document if isinstance(published, RulesPublished) else None


async def _sent(settings: Settings, topic: str, value: bytes) -> int:
    producer: Any = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        acknowledged = await producer.send_and_wait(topic, value, key=KEY, partition=0)
    finally:
        await producer.stop()
    return int(acknowledged.offset)


def _differences(one: RuleSet, other: RuleSet) -> list[str]:
    """The sections in which two rule sets differ; of the rules, their ids."""
    sections = [name for name in one.__struct_fields__ if name != "rules" and getattr(one, name) != getattr(other, name)]
    before, after = ({rule.id: rule for rule in rule_set.rules} for rule_set in (one, other))
    changed = sorted(rule_id for rule_id in before | after if before.get(rule_id) != after.get(rule_id))
    order = [] if changed or one.rules == other.rules else ["the order of the rules"]
    return sections + [f"rule {rule_id}" for rule_id in changed] + order


def _summary(rule_set: RuleSet) -> str:
    width = max((len(rule.id) for rule in rule_set.rules), default=0)
    compiled = CompiledRules(rule_set)
    lines = [f"version {rule_set.version} of {rule_set.tenant}, {len(rule_set.rules)} rules"]
    for rule in rule_set.rules:
        feeds = ", ".join(compiled.by_id[rule.id].feeds) or "no feed"
        lines.append(f"  {rule.id:<{width}}  {rule.kind:<7}  needs {feeds}{_MODES[rule.mode]}")
    return "\n".join(lines)
