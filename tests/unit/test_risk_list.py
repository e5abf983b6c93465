"""Whom to call today, as lines for people, spreadsheets and machines."""

import csv
import io

import msgspec
from alert_records import alert
from hypothesis import given
from strategies import structs

from schemas.decisions import AlertRecord, Because, RiskReason, RiskRecord
from schemas.rule_kinds import Severity
from sinks.memory import MemorySink
from sinks.profiles import alerts_in, risk_in
from sinks.ranking import rank
from streams.risk_list import COLUMNS, AtRisk, as_csv, as_text
from streams.risk_sources import Known, foremost


def risk(name: str, probability: float | None, value: float | None = None, owner: str | None = None) -> RiskRecord:
    return RiskRecord(
        customer_id=name,
        sequence=1,
        at_ms=0,
        probability=probability,
        band="high",
        basis="rules" if probability is None else "model",
        value=value,
        owner=owner,
        reasons=[RiskReason(feature="days_since_order", value=40.0, contribution=1.0)],
    )


RISKS = [risk("rules", None), risk("small", 0.9, 10.0, "kim"), risk("unknown", 0.99), risk("big", 0.2, 1_000.0, "lee")]


def names(top: int, owner: str | None = None) -> list[str]:
    return [one.customer_id for one in foremost(RISKS, top, owner)]


def test_most_at_stake_comes_first_and_what_is_not_known_last() -> None:
    assert (
        names(10) == [one.customer_id for one in sorted(RISKS, key=rank, reverse=True)] == ["big", "small", "unknown", "rules"]
    )
    assert names(2) == ["big", "small"]


def test_of_an_owner_only_those_of_this_owner() -> None:
    assert names(10, "kim") == ["small"]
    assert names(10, "nobody") == []


def test_equal_ones_stand_in_the_order_of_their_ids() -> None:
    assert [one.customer_id for one in foremost([risk("b", 0.5), risk("a", 0.5)], 2, None)] == ["a", "b"]


def test_a_spreadsheet_reads_numbers_and_runs_no_formula() -> None:
    harmful = ['=HYPERLINK("http://a")', "@SUM(A1)", "-1+cmd|' /C calc'!A0", "+8613800000000", "-5", "a,b", "客户"]
    read = list(csv.DictReader(io.StringIO(as_csv([AtRisk(1, Known(risk(name, 0.25, 200.0))) for name in harmful]))))
    assert [row["customer_id"] for row in read] == [f"'{name}" for name in harmful[:3]] + harmful[3:]
    assert {(row["probability"], row["at_stake"], row["reason"]) for row in read} == {("0.250", "50.00", "days_since_order")}
    assert tuple(read[0]) == COLUMNS


def test_an_empty_list_says_so() -> None:
    assert as_text([]).startswith("nobody")
    assert as_csv([]) == ",".join(COLUMNS) + "\n"


def opened(severity: Severity, due_ms: int, action: str | None) -> AlertRecord:
    because = [Because(clause="silence_ms", value=86_400_000 * 40, threshold="P30D")]
    name = f"{severity}-{due_ms}"
    return msgspec.structs.replace(
        alert("opened", because), alert_id=name, severity=severity, due_ms=due_ms, next_action=action
    )


def test_a_line_says_why_and_what_to_do_first() -> None:
    alerts = (opened("info", 1, "wait"), opened("critical", 9, None), opened("high", 5, "call"), opened("high", 3, "write"))
    of_model = msgspec.structs.replace(
        risk("ada", 0.5, 80.0),
        reasons=[RiskReason(feature="order_recency_days", value=40.0, contribution=1.0)],
        features={"order_recency_days": 40.0},
    )
    line = AtRisk(1, Known(of_model, "silent", alerts)).as_json()
    assert (line["stage"], line["open_alerts"], line["next_action"]) == ("silent", 4, "write")
    assert "40" in line["reason"]
    assert "days" in line["reason"]

    ruled = msgspec.structs.replace(risk("ada", None), reasons=[])
    line = AtRisk(1, Known(ruled, "silent", alerts)).as_json()
    assert line["reason"] == "silent for 40 days (limit 30 days)"
    assert AtRisk(1, Known(ruled)).as_json()["reason"] is None


@given(structs(RiskRecord))
async def test_a_profile_gives_back_the_risk_that_was_told(told: RiskRecord) -> None:
    sink = MemorySink()
    await sink.deliver([told])
    assert risk_in(sink.profiles[told.customer_id], told.customer_id) == told


async def test_a_profile_gives_back_the_open_alerts() -> None:
    sink, told = MemorySink(), [opened("high", 3, "call"), opened("info", 4, None)]
    await sink.deliver([*told, msgspec.structs.replace(told[1], sequence=2, state="resolved")])
    assert alerts_in(sink.profiles["c"]) == told[:1]
    assert risk_in(sink.profiles["c"], "c") is None
