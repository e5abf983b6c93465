"""What people do with alerts, from the command line into the topic of actions."""

import asyncio
import io
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import pytest
from aiokafka.structs import TopicPartition
from alert_records import alert

from schemas.codec import decode_record, encode
from schemas.control import Tick
from schemas.decisions import AlertRecord
from schemas.events import AlertAcked, AlertAssigned, AlertJudged, AlertNoted, AlertSnoozed, AnyEvent, CustomerErased
from schemas.instants import DAY_MS, HOUR_MS
from streams.cli import main
from streams.log_writer import LogWriter
from streams.settings import Settings, Topic, load_settings
from streams.topic_tail import read_to_end, reader
from streams.topics import ensure_topics
from streams.transactions import Place, Row

pytestmark = pytest.mark.kafka

OPENED = msgspec.structs.replace(alert(), customer_id="ada", alert_id="aaaaaaaa-open")
ACKED = msgspec.structs.replace(OPENED, sequence=2, state="acked", by="ann")
CLOSED = msgspec.structs.replace(alert("resolved"), customer_id="bob", alert_id="bbbbbbbb-closed")
OF_FEED = msgspec.structs.replace(alert(), customer_id=None, feed="orders", alert_id="cccccccc-feed")
WARNED = msgspec.structs.replace(alert("warned"), customer_id="bob", alert_id="ffffffff-warned")
SHADOW = msgspec.structs.replace(alert(), mode="shadow", alert_id="dddddddd-shadow")
FORGOTTEN = msgspec.structs.replace(alert(), alert_id="eeeeeeee-forgotten")


@dataclass
class Ended:
    """A command that has ended."""

    status: int | str | None
    out: str
    err: str


Command = Callable[..., Ended]


@pytest.fixture(scope="module")
def settings(bootstrap: str) -> Settings:
    made = load_settings(bootstrap=bootstrap, prefix="actions-test.", partitions=2)
    ensure_topics(made, sources=[])
    write(made, "alerts", 0, [OPENED, CLOSED, OF_FEED, WARNED])
    write(made, "alerts", 1, [ACKED, FORGOTTEN])
    write(made, "alerts", 1, [FORGOTTEN.alert_id])
    write(made, "shadow", 1, [SHADOW])
    return made


@pytest.fixture
def churnwatch(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str, **variables: str) -> Ended:
        named = {"CHURN_BOOTSTRAP": settings.bootstrap, "CHURN_PREFIX": settings.prefix, "CHURN_PARTITIONS": "2", "USER": "ann"}
        for name, value in (named | variables).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["churnwatch", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
        try:
            status: int | str | None = main()
        except SystemExit as ended:
            status = ended.code
        shown = capsys.readouterr()
        return Ended(status, shown.out, shown.err)

    return run


def write(settings: Settings, topic: Topic, partition: int, records: Sequence[AlertRecord | Tick | str]) -> None:
    """Records by their alert's id; of an id alone a tombstone."""

    def row(record: AlertRecord | Tick | str) -> Row:
        if isinstance(record, str):
            return Row(record.encode(), None)
        return Row(record.alert_id.encode() if isinstance(record, AlertRecord) else None, encode(record))

    async def written() -> None:
        writer = LogWriter(settings)
        await writer.write({Place(settings.topic(topic), partition): [row(record) for record in records]})
        await writer.close()

    asyncio.run(written())


def actions(settings: Settings) -> list[tuple[bytes, AnyEvent]]:
    """All that was sent, with the keys."""

    async def read() -> list[tuple[bytes, AnyEvent]]:
        async with reader(settings) as consumer:
            records = await read_to_end(consumer, TopicPartition(settings.topic("actions"), 0))
        return [(record.key, decode_record(record.value)) for record in records]  # type: ignore[misc]

    return asyncio.run(read())


def test_an_ack_names_who_it_is_the_customer_and_the_whole_id(settings: Settings, churnwatch: Command) -> None:
    ended = churnwatch("ack", "aaaaaaaa", "--json")
    told = json.loads(ended.out)

    key, event = actions(settings)[-1]
    assert (ended.status, key) == (0, b"ada")
    assert isinstance(event, AlertAcked)
    assert (event.customer_id, event.alert_id, event.by) == ("ada", "aaaaaaaa-open", "ann")
    assert told == {"topic": settings.topic("actions"), "event": msgspec.to_builtins(event)}


def test_each_action_is_an_event_of_its_own(settings: Settings, churnwatch: Command) -> None:
    before = len(actions(settings))
    for arguments in (
        ("snooze", "aaaaaaaa", "--until", "2100-01-01T08:00:00+08:00"),
        ("snooze", "aaaaaaaa", "--for", "PT8H"),
        ("snooze", "aaaaaaaa", "--days", "3"),
        ("assign", "aaaaaaaa", "--to", "eve", "--by", "boss"),
        ("note", "bbbbbbbb", "--text", "Was on holiday."),
        ("judge", "bbbbbbbb", "--verdict", "false_alarm"),
        ("ack", "aaaaaaaa"),
        ("ack", "aaaaaaaa"),
    ):
        ended = churnwatch(*arguments)
        assert ended.status == 0, ended.err
        assert ended.out.startswith(f"sent to {settings.topic('actions')}: type ")

    events = [event for _, event in actions(settings)[before:]]
    until, for_, days, assigned, noted, judged, *_ = events
    assert isinstance(until, AlertSnoozed)
    assert until.until_ms == 4_102_444_800_000
    assert isinstance(for_, AlertSnoozed)
    assert for_.until_ms == for_.at_ms + 8 * HOUR_MS
    assert isinstance(days, AlertSnoozed)
    assert days.until_ms == days.at_ms + 3 * DAY_MS
    assert isinstance(assigned, AlertAssigned)
    assert (assigned.to, assigned.by) == ("eve", "boss")
    assert isinstance(noted, AlertNoted)
    assert (noted.customer_id, noted.text) == ("bob", "Was on holiday.")
    assert isinstance(judged, AlertJudged)
    assert judged.verdict == "false_alarm"
    assert len({event.id for event in events}) == len(events)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ack", "bbbbbbbb"), "alert bbbbbbbb-closed is resolved since 1970-01-01T00:00:00Z: only `note` and `judge`"),
        (("snooze", "bbbbbbbb", "--days", "1"), "is resolved"),
        (("assign", "bbbbbbbb", "--to", "eve"), "is resolved"),
        (("ack", "ffffffff"), "is warned"),
        (("ack", "cccccccc"), "is about the feed orders"),
        (("ack", "dddddddd"), "there is no alert dddddddd"),
        (("judge", "eeeeeeee", "--verdict", "saved"), "there is no alert eeeeeeee"),
        (("snooze", "aaaaaaaa", "--until", "2001-01-01T00:00:00Z"), "not 2001-01-01T00:00:00Z"),
        (("note", "aaaaaaaa", "--text", ""), "text"),
        (("explain", "eeeeeeee"), "there is no alert eeeeeeee"),
    ],
    ids=["ack", "snooze", "assign", "warned", "feed", "shadow", "forgotten", "past", "empty", "explain"],
)
def test_what_makes_no_sense_is_refused_with_1_and_sent_nowhere(
    settings: Settings, churnwatch: Command, arguments: tuple[str, ...], told: str
) -> None:
    before = actions(settings)
    ended = churnwatch(*arguments)
    assert ended.status == 1
    assert told in ended.err
    assert actions(settings) == before


@pytest.mark.parametrize(
    "arguments",
    [(), ("--days", "1", "--for", "PT1H"), ("--for", "P1M"), ("--until", "tomorrow")],
    ids=["none", "two", "month", "word"],
)
def test_a_snooze_that_does_not_say_how_long_ends_with_2(churnwatch: Command, arguments: tuple[str, ...]) -> None:
    assert churnwatch("snooze", "aaaaaaaa", *arguments).status == 2


def test_while_time_follows_events_a_snooze_begins_at_the_last_tick(settings: Settings, churnwatch: Command) -> None:
    write(settings, "events", 1, [Tick(at_ms=5 * DAY_MS)])
    assert churnwatch("snooze", "aaaaaaaa", "--days", "1", CHURN_CLOCK="event").status == 0

    _, event = actions(settings)[-1]
    assert isinstance(event, AlertSnoozed)
    assert (event.at_ms, event.until_ms) == (5 * DAY_MS, 6 * DAY_MS)


def test_erasing_says_what_it_does_not_reach_and_asks(settings: Settings, churnwatch: Command) -> None:
    before = actions(settings)
    refused = churnwatch("erase", "zoe")  # the answer is no
    assert refused.status == 1
    assert "It does not reach" in refused.err
    assert actions(settings) == before

    assert churnwatch("erase", "zoe", "--yes").status == 0
    (key, event) = actions(settings)[-1]
    assert (key, type(event), event.customer_id) == (b"zoe", CustomerErased, "zoe")


def test_explain_finds_every_transition_also_of_rules_in_shadow_mode(churnwatch: Command) -> None:
    told = json.loads(churnwatch("explain", "aaaaaaaa", "--json").out)
    assert [(step["sequence"], step["state"]) for step in told["transitions"]] == [(1, "opened"), (2, "acked")]
    assert "(absence, high, shadow)" in churnwatch("explain", "dddddddd").out


def test_without_topics_the_commands_say_how_to_make_them(churnwatch: Command) -> None:
    for arguments in (("ack", "aaaaaaaa"), ("explain", "aaaaaaaa"), ("erase", "zoe", "--yes")):
        ended = churnwatch(*arguments, CHURN_PREFIX="nothing-here.")
        assert ended.status == 1
        assert "`churnwatch topics` creates it" in ended.err
