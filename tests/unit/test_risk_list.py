"""Whom to call today, as lines for people, spreadsheets and machines."""

import csv
import io

from schemas.decisions import RiskReason, RiskRecord
from sinks.ranking import rank
from streams.risk_list import COLUMNS, AtRisk, as_csv, as_text, foremost


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
    read = list(csv.DictReader(io.StringIO(as_csv([AtRisk(1, risk(name, 0.25, 200.0)) for name in harmful]))))
    assert [row["customer_id"] for row in read] == [f"'{name}" for name in harmful[:3]] + harmful[3:]
    assert {(row["probability"], row["at_stake"], row["reason"]) for row in read} == {("0.250", "50.00", "days_since_order")}
    assert tuple(read[0]) == COLUMNS


def test_an_empty_list_says_so() -> None:
    assert as_text([]).startswith("nobody")
    assert as_csv([]) == ",".join(COLUMNS) + "\n"
