"""The comparison can fail: a lost, a wrong and a doubled record are found wherever they are."""

from collections.abc import Callable
from functools import cache

import msgspec
import pytest
from chaos.comparison import Kept, Verdict, compare_logs, compare_maps, each_once
from chaos.learning import expected_models, verdict_on_models
from chaos.load import Sent
from chaos.oracle import Expected, Found, expected_of, log_gaps, verdicts_on_detect, verdicts_on_ingest
from chaos.profiles import compare_profiles, profiles_of
from engine_run import absence, order, rule_set, tick

from schemas.codec import Record, decode_decision, encode
from schemas.control import RulesPublished
from schemas.decisions import AlertRecord
from schemas.events import CustomerErased, SourcePosition
from schemas.instants import DAY_MS
from schemas.rules import Churn
from streams.settings import Topic, load_settings

SETTINGS = load_settings(prefix="t.", partitions=1)
LEARNER = load_settings(prefix="t.", partitions=1, learn_snapshot_examples=2, learn_min_examples=1, learn_min_rarer_examples=1)
RULES = rule_set(absence(30), absence(20, id="quiet", mode="shadow"), churn=Churn(horizon="P10D"))


@cache
def log() -> tuple[bytes, ...]:
    """Two customers who order and fall silent; one of them is erased."""
    records: list[Record] = [RulesPublished(at_ms=0, version="1", revision=1, document=RULES), tick(0)]
    for day in (1, 3, 50, 120):
        records += [order(day, "ann"), order(day, "bob"), *(tick(day + more) for more in range(1, 46, 4))]
    records.append(CustomerErased(id="e", customer_id="bob", at_ms=170 * DAY_MS))
    return tuple(encode(record) for record in records)


def expected() -> Expected:
    return expected_of(SETTINGS, 0, log())


def found_as_expected() -> dict[tuple[str, int], list[Kept]]:
    one = expected()
    rows = {(topic, 0): list(kept) for topic, kept in one.rows.items()}
    rows[SETTINGS.topic("state"), 0] = [Kept(key, value) for key, value in one.state.items()]
    return rows


def on_detect(rows: dict[tuple[str, int], list[Kept]]) -> list[Verdict]:
    return [verdict for verdict in verdicts_on_detect(SETTINGS, [expected()], Found(rows)) if not verdict.is_right]


def test_what_is_as_it_must_be_is_right() -> None:
    assert on_detect(found_as_expected()) == []


@pytest.mark.parametrize("topic", ["alerts", "shadow", "risk", "lifecycle", "examples", "erasures", "state"])
def test_a_lost_record_is_found_in_each_topic(topic: Topic) -> None:
    rows = found_as_expected()
    del rows[SETTINGS.topic(topic), 0][-1]

    assert [(verdict.what.split("/")[0], verdict.lost) for verdict in on_detect(rows)] == [(topic, 1)]


@pytest.mark.parametrize("topic", ["alerts", "shadow", "risk", "lifecycle", "examples", "state"])
def test_a_byte_that_differs_is_found_in_each_topic(topic: Topic) -> None:
    rows = found_as_expected()
    kept = rows[SETTINGS.topic(topic), 0]
    place = next(number for number, row in enumerate(kept) if row.value is not None)
    kept[place] = Kept(kept[place].key, (kept[place].value or b"") + b" ")

    assert [(verdict.what.split("/")[0], verdict.wrong) for verdict in on_detect(rows)] == [(topic, 1)]


@pytest.mark.parametrize("topic", ["alerts", "shadow", "risk", "lifecycle", "examples", "erasures"])
def test_a_doubled_record_is_found_in_each_topic(topic: Topic) -> None:
    rows = found_as_expected()
    kept = rows[SETTINGS.topic(topic), 0]
    kept.append(next(row for row in kept if row.value is not None))

    assert (topic, 1) in [(verdict.what.split("/")[0], verdict.twice) for verdict in on_detect(rows)]


def test_records_in_another_order_are_wrong() -> None:
    rows = found_as_expected()
    rows[SETTINGS.topic("alerts"), 0].reverse()

    assert [(verdict.what, verdict.wrong > 0) for verdict in on_detect(rows)] == [("alerts/0", True)]


def test_a_record_that_nobody_expects_is_wrong() -> None:
    rows = found_as_expected()
    alerts = rows[SETTINGS.topic("alerts"), 0]
    alert = next(found for row in alerts if row.value and isinstance(found := decode_decision(row.value), AlertRecord))
    alerts.append(Kept(alert.alert_id.encode(), encode(msgspec.structs.replace(alert, sequence=99))))

    assert [(verdict.what, verdict.wrong) for verdict in on_detect(rows)] == [("alerts/0", 1)]


def test_a_position_that_is_behind_is_wrong() -> None:
    rows = found_as_expected()
    behind = expected_of(SETTINGS, 0, log()[:-1])
    rows[SETTINGS.topic("state"), 0].append(Kept(b"p/head", behind.state[b"p/head"]))

    assert [(verdict.what, verdict.wrong) for verdict in on_detect(rows)] == [("state/0", 1)]


def test_a_key_that_must_be_gone_is_wrong() -> None:
    assert compare_maps("state", {b"a": b"1"}, {b"a": b"1", b"b": b"2"}).wrong == 1


def test_an_alert_that_has_its_number_twice_is_found_even_if_the_engine_says_so_too() -> None:
    assert each_once("alerts", ["a", "b", "a"]).twice == 1


def test_two_tombstones_of_a_key_are_two_records() -> None:
    gone = Kept(b"k", None)

    assert compare_logs("risk", [gone, gone], [gone]).lost == 1
    assert compare_logs("risk", [gone], [gone, gone]).twice == 1


# -- ingest

SENT = Sent(events={("orders", 0, offset) for offset in range(3)}, broken={("orders", 0, 3)})
LETTER = Kept(b"orders/0/3", b"?")


def forwarded(*offsets: int) -> list[Kept]:
    records = [msgspec.structs.replace(order(1), src=SourcePosition("orders", 0, 0, offset)) for offset in offsets]
    return [Kept(b"ann", encode(record)) for record in records]


def on_ingest(events: list[Kept], *letters: Kept) -> list[tuple[str, int]]:
    found = Found({("t.events", 0): events, ("t.deadletters", 0): list(letters)})
    return [(verdict.what, verdict.lost) for verdict in verdicts_on_ingest(SETTINGS, SENT, found) if not verdict.is_right]


@pytest.mark.parametrize("offsets", [(0, 1, 2), (0, 0, 1, 0, 1, 2)])
def test_source_records_may_come_again(offsets: tuple[int, ...]) -> None:
    assert on_ingest(forwarded(*offsets), LETTER) == []


@pytest.mark.parametrize("offsets", [(0, 1), (0, 2), (0, 2, 1)])
def test_a_source_record_that_is_not_there_or_comes_behind_a_later_one_is_lost(offsets: tuple[int, ...]) -> None:
    assert on_ingest(forwarded(*offsets), LETTER) == [("source records", 1)]


def test_a_record_that_nobody_can_read_must_become_a_dead_letter() -> None:
    assert on_ingest(forwarded(0, 1, 2)) == [("dead letters", 1)]


# -- profiles


def profiles() -> dict[str, dict[str, str]]:
    return profiles_of(SETTINGS, Found(found_as_expected()))


def forget(held: dict[str, dict[str, str]]) -> None:
    del held["ann"]


def change(held: dict[str, dict[str, str]]) -> None:
    held["ann"]["open_alerts"] = "7"


def invent(held: dict[str, dict[str, str]]) -> None:
    held["eve"] = {"open_alerts": "1"}


@pytest.mark.parametrize(("harm", "lost", "wrong"), [(forget, 1, 0), (change, 0, 1), (invent, 0, 1)])
def test_profiles_that_differ_are_found(harm: Callable[[dict[str, dict[str, str]]], None], lost: int, wrong: int) -> None:
    held = profiles()
    assert compare_profiles(profiles(), held).is_right

    harm(held)

    verdict = compare_profiles(profiles(), held)
    assert (verdict.lost, verdict.wrong) == (lost, wrong)


# -- the learner


def learned(*, twice: bool = False) -> Found:
    rows = found_as_expected()
    examples = rows["t.examples", 0]
    found = Found(rows, {("t.examples", 0): list(range(0, 2 * len(examples), 2))})  # what ends a transaction takes an offset
    rows["t.models", 0] = expected_models(LEARNER, found) * (2 if twice else 1)
    return found


def test_a_training_state_may_be_written_again() -> None:
    assert len(learned().of(LEARNER, "models")) > 1
    assert verdict_on_models(LEARNER, learned()).is_right
    assert verdict_on_models(LEARNER, learned(twice=True)).is_right


def test_a_training_state_that_differs_or_is_missing_is_found() -> None:
    found = learned()
    states = found.rows["t.models", 0]
    states[-1] = Kept(states[-1].key, (states[-1].value or b"").replace(b":", b": ", 1))
    assert not verdict_on_models(LEARNER, found).is_right

    del states[-1]
    assert verdict_on_models(LEARNER, found).lost == 1


def test_the_log_must_be_whole() -> None:
    assert log_gaps(SETTINGS, Found({}, {("t.events", 0): [0, 1, 2]})).is_right
    assert log_gaps(SETTINGS, Found({}, {("t.events", 0): [0, 2]})).lost == 1
