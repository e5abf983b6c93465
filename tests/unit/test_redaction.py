"""What is left out for a recipient is gone, and what is left is still a record."""

from typing import Any

import msgspec
import pytest
from alert_records import alert

from schemas.codec import decode_decision, encode
from schemas.decisions import AlertRecord, Because, ClearsIf, Evidence, LifecycleRecord, RiskReason, RiskRecord
from schemas.secret import Secret
from sinks.base import Forgotten
from sinks.redaction import REMOVABLE, Redaction, pseudonym, redacted

KEY = Secret("k1")
FULL = msgspec.structs.replace(
    alert("opened", [Because(clause="silence_ms", value=1)], [Evidence(type="order.placed", at_ms=1, id="order-77")]),
    customer_id="ada@example.com",
    note="she said she will cancel",
    owner="ann",
    tier="gold",
    ticket_id="t1",
    clears_if=ClearsIf(code="event"),
    feeds={"orders": "live"},
    risk=0.5,
    value_at_risk=500.0,
)
RISK = RiskRecord(
    customer_id="ada@example.com",
    sequence=1,
    at_ms=1,
    probability=0.5,
    band="high",
    basis="model",
    reasons=[RiskReason(feature="gap", value=2.0, contribution=0.25)],
    features={"gap": 2.0},
)
STAGE = LifecycleRecord(customer_id="ada@example.com", sequence=1, at_ms=1, stage="active", cause="order")


def test_without_anything_to_leave_out_a_record_is_as_it_was() -> None:
    assert [redacted(one, Redaction()) for one in (FULL, RISK, STAGE)] == [FULL, RISK, STAGE]


def test_fields_are_left_out_of_whichever_record_has_them() -> None:
    redaction = Redaction(frozenset({"note", "owner", "evidence", "reasons"}))
    for text in ("she said", "order-77", "ann", '"gap","value"'):
        assert text.encode() in encode(FULL) + encode(RISK)
        assert text.encode() not in encode(redacted(FULL, redaction)) + encode(redacted(RISK, redaction))
    assert redacted(FULL, redaction).tier == "gold"
    assert redacted(STAGE, redaction) == STAGE


@pytest.mark.parametrize("record", [FULL, RISK, STAGE])
@pytest.mark.parametrize("fields", [*([name] for name in sorted(REMOVABLE)), sorted(REMOVABLE)])
def test_what_is_left_is_a_record_that_every_reader_takes(record: Any, fields: list[str]) -> None:
    left = redacted(record, Redaction(frozenset(fields), KEY))
    assert decode_decision(encode(left)) == left
    plain = msgspec.json.decode(encode(left))
    assert not set(plain) & set(fields)


def test_what_a_record_is_not_whole_without_cannot_be_left_out() -> None:
    for struct in (AlertRecord, RiskRecord, LifecycleRecord):
        required = {field.name for field in msgspec.structs.fields(struct) if field.required}
        assert not required & REMOVABLE
    assert not {"customer_id", "feed", "alert_id", "sequence"} & REMOVABLE
    assert {"note", "owner", "tier", "because", "evidence", "features", "before"} <= REMOVABLE


def test_a_customer_has_one_other_name_for_each_key() -> None:
    redaction = Redaction(customer_key=KEY)
    records: list[Any] = [FULL, msgspec.structs.replace(FULL, sequence=2), RISK, STAGE, Forgotten("ada@example.com", "risk")]

    assert {redacted(record, redaction).customer_id for record in records} == {pseudonym(KEY, "ada@example.com")}
    assert pseudonym(KEY, "ada@example.com") not in {pseudonym(Secret("k2"), "ada@example.com"), pseudonym(KEY, "eve")}
    assert b"ada" not in encode(redacted(FULL, redaction))


def test_an_alert_about_a_feed_has_no_customer_to_rename() -> None:
    about_feed = msgspec.structs.replace(FULL, customer_id=None, feed="orders")
    assert redacted(about_feed, Redaction(customer_key=KEY)) == about_feed
