"""Where decisions are written, in which order, and what of them is counted."""

import msgspec
from alert_records import alert

from detectors.decisions import Decisions, Tombstone
from schemas.codec import decode_decision
from schemas.decisions import AlertRecord, ErasureRecord, LifecycleRecord, RiskRecord
from streams.decision_rows import CUSTOMER_HEADER, ERASED_HEADER, Decided, decision_rows
from streams.detect_counters import DetectCounters
from streams.settings import load_settings
from streams.transactions import Place, Row

SETTINGS = load_settings(prefix="t.", partitions=4)
OPENED = msgspec.structs.replace(alert(), alert_id="a1")
RISK = RiskRecord(customer_id="c", sequence=1, at_ms=1, band="low", basis="rules")
STAGE = LifecycleRecord(customer_id="c", sequence=1, at_ms=1, stage="new", cause="order")
PROOF = ErasureRecord(customer_hash="ff00", at_ms=9, alerts=1, examples=0)


def written(*decided: Decisions) -> dict[Place, list[Row]]:
    return decision_rows(SETTINGS, 3, map(Decided, decided))


def test_a_tombstone_follows_the_records_of_its_topic_in_the_same_partition() -> None:
    gone = [Tombstone("alerts", "a1", "c"), Tombstone("risk", "c"), Tombstone("lifecycle", "c")]
    rows = written(Decisions(alerts=[OPENED], risk=[RISK], lifecycle=[STAGE], tombstones=gone, erasures=[PROOF]))

    assert [(row.key, row.value is None) for row in rows[Place("t.alerts", 3)]] == [(b"a1", False), (b"a1", True)]
    assert [(row.key, row.value is None) for row in rows[Place("t.risk", 3)]] == [(b"c", False), (b"c", True)]
    assert [(row.key, row.value is None) for row in rows[Place("t.lifecycle", 3)]] == [(b"c", False), (b"c", True)]
    assert rows[Place("t.alerts", 3)][1].headers == [(CUSTOMER_HEADER, b"c")]
    (proof,) = rows[Place("t.erasures", 0)]
    assert (proof.key, decode_decision(proof.value or b"")) == (b"ff00", PROOF)


def test_a_tombstone_of_an_erased_customer_says_up_to_which_instant() -> None:
    rows = written(Decisions(tombstones=[Tombstone("alerts", "a1", "c", 1_700), Tombstone("risk", "c", erased_ms=1_700)]))

    assert rows[Place("t.alerts", 3)][0].headers == [(CUSTOMER_HEADER, b"c"), (ERASED_HEADER, b"1700")]
    assert rows[Place("t.risk", 3)][0].headers == [(ERASED_HEADER, b"1700")]


def test_what_comes_back_after_a_tombstone_is_written_after_it() -> None:
    #  one micro-batch:  opened  forgotten | opened again
    again = msgspec.structs.replace(OPENED, sequence=1, at_ms=500)
    rows = written(Decisions(alerts=[OPENED], tombstones=[Tombstone("alerts", "a1")]), Decisions(alerts=[again]))

    values = [row.value for row in rows[Place("t.alerts", 3)]]
    assert values[1] is None
    assert decode_decision(values[2] or b"") == again


def test_what_a_traced_record_led_to_says_so_and_the_rest_does_not() -> None:
    led_to = Decisions(alerts=[OPENED], shadow=[OPENED], risk=[RISK], lifecycle=[STAGE], tombstones=[Tombstone("alerts", "a1")])
    rows = decision_rows(SETTINGS, 3, [Decided(led_to, b"00-trace"), Decided(led_to)])

    for topic in ("alerts", "shadow", "risk", "lifecycle"):
        traces = [dict(row.headers).get("ce_traceparent") for row in rows[Place(f"t.{topic}", 3)] if row.value is not None]
        assert traces == [b"00-trace", None]
    assert all("ce_id" not in dict(row.headers) for row in rows[Place("t.alerts", 3)] if row.value is None)


def test_nothing_decided_is_nothing_written() -> None:
    assert written(Decisions()) == {}


def test_remarks_verdicts_and_assignments_are_no_transitions_of_a_rule() -> None:
    def step(state: str, **fields: object) -> AlertRecord:
        return msgspec.structs.replace(alert(state), **fields)

    counters = DetectCounters()
    counters.count(
        Decisions(
            alerts=[
                step("opened"),
                step("opened", by="ann"),  # given to somebody
                step("opened", by="ann", note="called"),
                step("acked", by="ann"),
                step("acked", by="ann", verdict="saved"),
                step("resolved"),
                step("resolved", by="bob", verdict="false_alarm"),
            ],
            shadow=[step("opened"), step("opened", by="bob", verdict="false_alarm")],
            erasures=[PROOF],
        ),
        now_ms=None,
    )

    assert counters.alerts == {("r@1", "opened"): 1, ("r@1", "acked"): 1, ("r@1", "resolved"): 1}
    assert counters.verdicts == {("r@1", "", "saved"): 1, ("r@1", "", "false_alarm"): 2}
    assert counters.erasures == 1
