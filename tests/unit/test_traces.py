"""A trace is copied if it is one, wherever it stands in a record's headers, and nothing is made up."""

import pytest

from streams.dead_letters import SOURCE_HEADER
from streams.traces import TRACEPARENT, trace_headers, traceparent_of

VALID = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("name", [TRACEPARENT, "ce_traceparent"])
def test_a_valid_one_goes_into_the_log_under_one_name(name: str) -> None:
    assert trace_headers([("other", b"x"), (name, VALID)]) == ((TRACEPARENT, VALID),)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"00",
        VALID.upper(),
        VALID + b"-00",
        b" " + VALID,
        b"ff" + VALID[2:],
        b"00-" + b"0" * 32 + VALID[35:],
        VALID[:36] + b"0" * 16 + VALID[52:],
        VALID.replace(b"-", b"_"),
    ],
)
def test_what_is_no_traceparent_is_passed_over(text: bytes) -> None:
    assert traceparent_of([(TRACEPARENT, text)]) is None
    assert traceparent_of([(TRACEPARENT, text), ("ce_traceparent", VALID)]) == VALID


def test_a_record_without_one_gets_none() -> None:
    assert trace_headers([]) == ()
    assert trace_headers([("tracestate", b"a=b"), (TRACEPARENT, None)]) == ()  # type: ignore[list-item]  # Kafka has null headers


def test_a_redriven_record_is_of_the_trace_that_its_original_was_of() -> None:
    redriven = [(TRACEPARENT, b"ours"), (SOURCE_HEADER + TRACEPARENT, VALID)]
    assert trace_headers(redriven, redriven=True) == ((TRACEPARENT, VALID),)
    assert trace_headers(redriven) == ()
