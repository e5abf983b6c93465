"""The engine as a whole: duplicates, documents, dead letters, what an alert is called."""

import msgspec
from engine_run import EngineRun, absence, complaint, contact, order, rule_set, tick

from schemas.events import SourcePosition

SILENT_90 = rule_set(absence(90))


def test_a_record_that_ingest_forwarded_twice_counts_once() -> None:
    twice = rule_set(absence(90, min_count=2))
    first = msgspec.structs.replace(order(0), src=SourcePosition("orders", 0, 0, 7))
    again = msgspec.structs.replace(first, id="another-id")
    assert EngineRun(twice).feed(first, again, tick(100)).told == []


def test_an_event_that_a_source_sent_twice_counts_once() -> None:
    twice = rule_set(absence(90, min_count=2))
    first = msgspec.structs.replace(order(0, event_id="o"), src=SourcePosition("orders", 0, 0, 7))
    again = msgspec.structs.replace(first, src=SourcePosition("orders", 0, 1, 3))
    assert EngineRun(twice).feed(first, again, tick(100)).told == []


def test_a_topic_that_was_made_again_starts_over() -> None:
    twice = rule_set(absence(90, min_count=2))
    first = msgspec.structs.replace(order(0), src=SourcePosition("orders", 0, 0, 7))
    later = msgspec.structs.replace(order(1), src=SourcePosition("orders", 1, 0, 0))
    assert EngineRun(twice).feed(first, later, tick(100)).told == ["opened@91"]


def test_the_same_alert_has_the_same_id_and_another_one_another() -> None:
    def ids(records: list[object]) -> list[str]:
        return [alert.alert_id for alert in EngineRun(SILENT_90).feed(*records).alerts]  # type: ignore[arg-type]

    one = ids([order(0, event_id="a"), tick(90)])
    assert one == ids([order(0, event_id="b"), tick(200)])
    assert one != ids([order(1), tick(200)])
    assert one != ids([order(0, customer="bob"), tick(200)])


def test_transitions_of_an_alert_are_numbered() -> None:
    run = EngineRun(SILENT_90).feed(order(0), tick(90), order(95), order(50))
    assert [(alert.sequence, alert.state) for alert in run.alerts] == [(1, "opened"), (2, "resolved"), (3, "retracted")]
    assert len({alert.alert_id for alert in run.alerts}) == 1


def test_a_value_that_cannot_be_read_is_a_dead_letter_and_the_partition_goes_on() -> None:
    run = EngineRun(SILENT_90)
    decisions = run.engine.apply_bytes(1, b'{"type":"order.placed"')
    letter = decisions.dead_letters[0]
    assert (letter.reason, letter.offset, letter.value) == ("bad_json", 1, b'{"type":"order.placed"')
    assert run.engine.position == 1
    assert run.feed(order(0), tick(90)).told == ["opened@90"]


def test_a_type_that_is_not_known_is_a_dead_letter() -> None:
    decisions = EngineRun(SILENT_90).engine.apply_bytes(1, b'{"type":"order.teleported","at_ms":0}')
    assert [letter.reason for letter in decisions.dead_letters] == ["unknown_type"]


def test_a_new_rule_does_not_dig_up_silences_that_were_over_before_it_came() -> None:
    run = EngineRun(rule_set()).feed(order(0, customer="old"), order(50, customer="new"), tick(100))
    run.publish(SILENT_90, revision=2).feed(tick(101), tick(140))
    assert [(alert.customer_id, alert.state) for alert in run.alerts] == [("new", "opened")]


def test_a_first_import_of_history_counts_from_the_beginning() -> None:
    assert EngineRun(SILENT_90).feed(order(0), tick(100)).told == ["opened@90"]


def test_enabled_from_limits_the_openings() -> None:
    from_95 = rule_set(absence(90, enabled_from_ms=95 * 86_400_000))
    assert EngineRun(from_95).feed(order(0), order(3, customer="bob"), order(6, customer="cid"), tick(100)).told == [
        "opened@96"
    ]


def test_a_rule_that_is_gone_expires_what_it_had_open() -> None:
    run = EngineRun(SILENT_90).feed(order(0), tick(90))
    run.publish(rule_set(version="2"), revision=2)
    assert run.told == ["opened@90", "expired@90"]
    assert run.feed(order(95)).told == ["opened@90", "expired@90"]


def test_a_moved_threshold_rearms_the_timers() -> None:
    run = EngineRun(SILENT_90).feed(order(0), tick(50))
    run.publish(rule_set(absence(40)), revision=2)
    assert run.told == ["opened@40"]
    assert run.alerts[0].rule == "silent@1.2"


def test_a_document_with_an_old_revision_is_ignored() -> None:
    run = EngineRun()
    run.publish(SILENT_90, revision=5).publish(rule_set(absence(10)), revision=5).publish(rule_set(absence(10)), revision=4)
    assert run.feed(order(0), tick(50)).told == []


def test_a_rule_set_that_cannot_be_built_is_a_dead_letter_and_the_running_one_stays() -> None:
    run = EngineRun(SILENT_90).publish(rule_set(absence(90, calendar="nowhere")), revision=2)
    letters = [letter for decided in run.decisions for letter in decided.dead_letters]
    assert [letter.reason for letter in letters] == ["bad_calendar"]
    assert run.feed(order(0), tick(90)).told == ["opened@90"]


def test_nothing_but_the_position_is_no_change() -> None:
    run = EngineRun(SILENT_90)
    run.engine.take_changes()
    run.feed(tick(1), tick(2))
    assert run.engine.take_changes() == []
    run.feed(contact(3))
    assert [key for key, _ in run.engine.take_changes()] == [b"c/ann", b"p/head"]


def test_rules_in_shadow_mode_tell_nobody() -> None:
    run = EngineRun(rule_set(absence(90, mode="shadow"))).feed(order(0), tick(90))
    assert [len(decided.alerts) for decided in run.decisions if decided.shadow] == [0]
    assert run.told == ["opened@90"]


def test_an_owner_is_the_first_that_exists() -> None:
    rules = rule_set(
        absence(90, owner=["customer.owner", "team.empty", "team.retention"]), teams={"empty": [], "retention": ["a", "b"]}
    )
    owners = {EngineRun(rules).feed(order(0, customer=f"c{n}"), complaint(0), tick(90)).alerts[0].owner for n in range(20)}
    assert owners == {"a", "b"}
