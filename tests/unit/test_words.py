"""What an alert says in words."""

import pytest
from alert_records import alert

from schemas.decisions import Because, Evidence
from schemas.instants import DAY_MS, HOUR_MS
from streams.words import because_of, said
from streams.words_en import duration


@pytest.mark.parametrize(
    ("because", "words"),
    [
        ([Because(clause="silence_ms", value=90 * DAY_MS, threshold="P90D")], "silent for 90 days (limit 90 days)"),
        ([Because(clause="silence_ms", value=91 * DAY_MS, threshold="P3M")], "silent for 91 days (limit 3 months)"),
        (
            [Because(clause="count", value=3, threshold=3), Because(clause="within_ms", value=DAY_MS)],
            "3 of them (limit 3), within 1 day",
        ),
        ([Because(clause="probability", value=0.81, threshold=0.7)], "probability of leaving 81% (limit 70%)"),
        ([Because(clause="first_response_ms", value=DAY_MS, threshold=DAY_MS)], "no answer for 1 day (limit 1 day)"),
        ([Because(clause="logins_7d", value=0.25)], "about 0.2 logins in the last 7 days"),
        ([Because(clause="order_recency_days", value=12.0)], "no order for 12 days"),
        (
            [Because(clause="of_a_later_release_ms", value=HOUR_MS, threshold=2 * HOUR_MS)],
            "of a later release 1 hour (limit 2 hours)",
        ),
        ([], "-"),
    ],
)
def test_clauses_in_words(because: list[Because], words: str) -> None:
    assert because_of(alert(because=because)) == words


def test_a_closing_names_what_closed_it() -> None:
    closed_by = [Evidence(type="order.placed", at_ms=DAY_MS, id="o1")]
    assert said(alert("resolved", evidence=closed_by)) == "over: order.placed at 1970-01-02 00:00"
    assert said(alert("resolved", because=[Because(clause="count", value=2, threshold=3)])) == "over: 2 of them (limit 3)"


def test_braces_in_a_value_are_left_alone() -> None:
    assert because_of(alert(because=[Because(clause="priority", value="{0}")])) == "priority {0}"


@pytest.mark.parametrize(
    ("ms", "words"), [(0, "0 ms"), (1_000, "1 second"), (90_000, "1.5 minutes"), (36 * HOUR_MS, "1.5 days")]
)
def test_lengths_of_time(ms: int, words: str) -> None:
    assert duration(ms) == words
