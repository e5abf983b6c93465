"""`churnwatch doctor`: what is wrong with an installation, and what to do about it."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final, assert_never

from aiokafka.structs import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import KafkaError

from schemas.codec import decode_record
from schemas.control import RulesPublished
from schemas.errors import ContractError
from schemas.instants import DAY_MS, Months, format_duration, parse_duration
from schemas.rule_kinds import (
    AbsenceRule,
    AllRule,
    AnyRule,
    CountRule,
    DeclineRule,
    LevelRule,
    RenewalRule,
    RhythmRule,
    Rule,
    ScoreRule,
    ShareRule,
    SlaRule,
)
from schemas.rules import RuleSet
from streams.doctor_archive import archive_findings
from streams.doctor_redis import redis_findings
from streams.finding import Finding
from streams.kafka_security import kafka_python_options
from streams.kafka_trouble import trouble
from streams.routes_file import RoutesFileError, load_routes
from streams.rules_trail import KEY
from streams.settings import Settings, Topic, variable
from streams.sources import SourcesError, load_sources
from streams.sources_command import PAUSED, list_sources
from streams.topic_tail import read_to_end, reader
from streams.topics import TopicsError, check_topics

_BOOTSTRAP_TIMEOUT_MS: Final = 3_000
_LONGEST_MONTH_DAYS: Final = 31
_WORK_SPREADS: Final = 7
"""Business time takes at most so many times as long, if a calendar is open for a day of 24 hours a week at least."""


def examine(settings: Settings) -> list[Finding]:
    """Look at everything that a worker needs; what cannot be looked at, because the broker is away, is left out."""
    findings = [*redis_findings(settings), *archive_findings(settings), *examine_routes(settings), *_broker(settings)]
    if any(finding.check == "broker" and not finding.good for finding in findings):
        return findings
    try:
        sources = [source.topic for source in load_sources(settings)]
    except SourcesError as fault:
        return [*findings, *(Finding("sources", good=False, says=line) for line in str(fault).splitlines())]
    findings += _topics(settings, sources)
    if all(finding.good for finding in findings if finding.check == "topics"):
        findings += [*_rules_and_retention(settings), *_erasures(settings), *_dead_letters(settings), *_paused(settings)]
    return findings


def longest_ms(rules: RuleSet) -> int:
    """The longest time that a rule looks back, and the model's horizon after it; an upper bound where calendars count."""
    horizon_ms = 0 if rules.churn is None else _upper_ms(rules.churn.horizon)
    return horizon_ms + max((ms for rule in rules.rules for ms in _durations_ms(rule)), default=0)


def examine_routes(settings: Settings) -> Iterator[Finding]:
    """Look at the file of routes, and whether its secrets are where it says."""
    if settings.routes is None:
        yield Finding("routes", good=True, says=f"{variable('routes')} is not set: nobody is told of alerts")
        return
    try:
        routes = load_routes(settings.routes)
    except RoutesFileError as faults:
        for fault in faults.faults:
            yield Finding("routes", good=False, says=f"{settings.routes}, {fault}")
    except OSError as error:
        yield Finding("routes", good=False, says=f"{settings.routes} cannot be read: {error.strerror}")
    else:
        yield Finding("routes", good=True, says=f"{settings.routes} tells {', '.join(routes.recipients)}")


def _broker(settings: Settings) -> Iterator[Finding]:
    try:
        admin: Any = _admin(settings)
        try:
            brokers = len(admin.describe_cluster()["brokers"])
        finally:
            admin.close()
    except (KafkaError, OSError) as error:
        yield Finding(
            "broker",
            good=False,
            says=trouble(settings) if "Unable to bootstrap" in str(error) else f"{settings.bootstrap}: {error!r}",
        )
        return
    yield Finding("broker", good=True, says=f"{settings.bootstrap} answers, {brokers} brokers")
    if brokers < settings.replication:
        says = f"CHURN_REPLICATION is {settings.replication} and there are {brokers} brokers: lower it, or add brokers"
        yield Finding("broker", good=False, says=says)


def _topics(settings: Settings, sources: list[str]) -> Iterator[Finding]:
    try:
        check_topics(settings, sources)
    except TopicsError as faults:
        for line in str(faults).splitlines():
            yield Finding("topics", good=False, says=line)
    else:
        yield Finding(
            "topics", good=True, says=f"all are there, {settings.partitions} partitions; sources {', '.join(sources)}"
        )


def _rules_and_retention(settings: Settings) -> Iterator[Finding]:
    rules = asyncio.run(_rules_in_force(settings))
    if rules is None:
        yield Finding("rules", good=False, says="none are published: `churnwatch rules publish FILE`")
        return
    yield Finding("rules", good=True, says=f"version {rules.version} of {rules.tenant}, {len(rules.rules)} rules")
    topic, kept_ms, needed_ms = settings.topic("events"), _retention_ms(settings), longest_ms(rules)
    kept = "for ever" if kept_ms < 0 else format_duration(kept_ms)
    if 0 <= kept_ms < needed_ms:
        says = (
            f"{topic} keeps records {kept}, and the rules with the model's horizon look back {format_duration(needed_ms)}: "
            f"set its retention.ms to {needed_ms} or more, or to -1"
        )
        yield Finding("retention", good=False, says=says)
    else:
        yield Finding("retention", good=True, says=f"{topic} keeps records {kept}; {format_duration(needed_ms)} are needed")


def _erasures(settings: Settings) -> Iterator[Finding]:
    """Only once somebody was erased: until then the log may well be kept for ever."""
    erased = asyncio.run(_erased(settings))
    if erased and _retention_ms(settings) < 0:
        says = (
            f"{erased} customers were erased, and {settings.topic('events')} never expires: what they did stays there. "
            "Set its retention.ms to as long as you may keep it, and no shorter than the rules need"
        )
        yield Finding("erasures", good=False, says=says)


def _dead_letters(settings: Settings) -> Iterator[Finding]:
    """Some there always are; whether they are too many, people see by reason and source."""
    if kept := asyncio.run(_kept(settings, "deadletters")):
        says = f"up to {kept} in {settings.topic('deadletters')}: `churnwatch dlq list` says what they are"
        yield Finding("letters", good=True, says=says)


def _paused(settings: Settings) -> Iterator[Finding]:
    for one in list_sources(settings):
        if one.state in PAUSED:
            yield Finding("sources", good=False, says=f"{one.topic} is not read: {PAUSED[one.state]}")


async def _kept(settings: Settings, topic: Topic) -> int:
    """How many offsets a topic of one partition has: markers of transactions are among them."""
    tp = TopicPartition(settings.topic(topic), 0)
    async with reader(settings) as consumer:
        return int((await consumer.end_offsets([tp]))[tp] - (await consumer.beginning_offsets([tp]))[tp])


async def _erased(settings: Settings) -> int:
    async with reader(settings) as consumer:
        records = await read_to_end(consumer, TopicPartition(settings.topic("erasures"), 0))
    return len({record.key for record in records})


async def _rules_in_force(settings: Settings) -> RuleSet | None:
    async with reader(settings) as consumer:
        records = await read_to_end(consumer, TopicPartition(settings.topic("control"), 0))
    for record in reversed(records):
        if record.key == KEY and record.value is not None:
            try:
                published = decode_record(record.value)
            except ContractError:
                continue
            if isinstance(published, RulesPublished):
                return published.document
    return None


def _retention_ms(settings: Settings) -> int:
    topic = settings.topic("events")
    admin: Any = _admin(settings)
    try:
        configs = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)], config_filter="all")
        return int(configs["topic"][topic]["retention.ms"]["value"])
    finally:
        admin.close()


def _admin(settings: Settings) -> KafkaAdminClient:
    return KafkaAdminClient(
        bootstrap_servers=settings.bootstrap.split(","),
        client_id=settings.prefix + "doctor",
        bootstrap_timeout_ms=_BOOTSTRAP_TIMEOUT_MS,
        **kafka_python_options(settings),
    )


def _durations_ms(rule: Rule) -> Iterator[int]:
    """How long back a rule looks for one alert, its dwell and cooldown on top."""
    waits_ms = _upper_ms(rule.dwell) + _upper_ms(rule.cooldown)
    yield from (waits_ms + length_ms for length_ms in _windows_ms(rule))


def _windows_ms(rule: Rule) -> Iterator[int]:
    match rule:
        case AbsenceRule():
            for length in (rule.for_, *rule.for_by_tier.values()):
                yield _business_ms(length, rule.workdays, on_calendar=rule.calendar is not None)
        case SlaRule():
            for target in rule.targets:
                yield _business_ms(target.target, target.workdays, on_calendar=target.calendar is not None)
        case CountRule():
            yield _upper_ms(rule.within)
        case ShareRule():
            yield _upper_ms(rule.within) + _upper_ms(rule.for_)
        case DeclineRule():
            yield _upper_ms(rule.recent) + _upper_ms(rule.baseline)
        case RenewalRule():
            yield _upper_ms(rule.before)
        case RhythmRule():  # how long a customer's own gaps are, no rule says
            yield _upper_ms(rule.min_gap)
        case LevelRule() | ScoreRule() | AllRule() | AnyRule():
            yield 0
        case _:
            assert_never(rule)


def _business_ms(length: str | None, workdays: int | None, *, on_calendar: bool) -> int:
    spread = _WORK_SPREADS if on_calendar else 1
    return spread * _upper_ms(length) + (workdays or 0) * _WORK_SPREADS * DAY_MS


def _upper_ms(text: str | None) -> int:
    if text is None:
        return 0
    duration = parse_duration(text)
    return duration.months * _LONGEST_MONTH_DAYS * DAY_MS if isinstance(duration, Months) else duration.ms
