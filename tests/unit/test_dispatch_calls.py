"""A sink is called until it takes what it is told: with pauses, for so long and no longer, and with one line in the log."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

import pytest
from detect_log import until
from dispatch_run import transition
from structlog.testing import capture_logs

from sinks.base import Delivery, SinkError
from streams.dispatch_calls import Caller, Refused

ALERT = transition("a", 1, "opened")
AWAY = SinkError("503", retryable=True)


class Moody:
    """Raises what it was given, one after the other; then it takes everything. None: it hangs."""

    name = "moody"

    def __init__(self, *moods: Exception | None) -> None:
        self.moods = list(moods)
        self.asked = self.took = 0

    async def deliver(self, records: Sequence[Delivery]) -> None:
        self.asked += 1
        mood = self.moods.pop(0) if self.moods else False
        if mood is None:
            await asyncio.sleep(60)
        if isinstance(mood, Exception):
            raise mood
        self.took += len(records)

    async def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.dispatch_calls._FIRST_PAUSE_S", 0.01)


async def told(sink: Moody, within_s: float = 30.0) -> tuple[Counter[str], list[str]]:
    """What was counted and logged until the sink had it."""
    results: Counter[str] = Counter()
    with capture_logs() as logs:
        await Caller("erp", sink, results, within_s).tell(ALERT)
    assert all(line["sink"] == "erp" for line in logs)
    return results, [line["event"] for line in logs]


async def test_it_is_called_until_it_takes_and_the_log_has_the_beginning_and_the_end() -> None:
    sink = Moody(AWAY, AWAY, AWAY)
    assert await told(sink) == ({"retried": 3, "sent": 1}, ["sink.retry_scheduled", "sink.recovered"])
    assert (sink.asked, sink.took) == (4, 1)


async def test_a_call_that_takes_too_long_is_cut_off_and_made_again() -> None:
    sink = Moody(None, None)
    began_s = time.monotonic()
    assert await told(sink, within_s=0.05) == ({"retried": 2, "sent": 1}, ["sink.retry_scheduled", "sink.recovered"])
    assert time.monotonic() - began_s < 30


async def test_the_breaker_opens_after_five_failures_and_says_why_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.breaker._FIRST_PAUSE_S", 0.05)
    sink = Moody(*[AWAY] * 7)
    results, events = await told(sink)
    assert events == ["sink.retry_scheduled", "sink.breaker_opened", "sink.recovered"]
    assert results == {"retried": 7, "sent": 1}


async def test_while_the_breaker_is_half_open_one_of_many_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.breaker._FIRST_PAUSE_S", 0.05)
    sink = Moody(*[AWAY] * 8, None)
    caller = Caller("erp", sink, Counter(), within_s=0.2)
    calls = [asyncio.create_task(caller.tell(ALERT)) for _ in range(8)]
    await until(lambda: sink.asked == 9)
    await asyncio.sleep(0.1)  # seven more would come, and nobody does while one hangs
    assert (sink.asked, sink.took) == (9, 0)
    await asyncio.gather(*calls)
    assert sink.took == 8


async def test_it_is_not_called_before_it_wants_to_be() -> None:
    sink = Moody(SinkError("429", retryable=True, retry_after_s=0.3))
    began_s = time.monotonic()
    await told(sink)
    assert time.monotonic() - began_s >= 0.3


async def test_what_is_refused_three_times_is_refused_for_good_and_the_other_side_counts_as_well() -> None:
    sink, results = Moody(*[SinkError("400", retryable=False)] * 3), Counter[str]()
    caller = Caller("erp", sink, results)
    with capture_logs() as logs, pytest.raises(Refused, match="400"):
        await caller.tell(ALERT)
    assert [line["event"] for line in logs] == ["sink.refused"]
    assert (results, caller.breaker.failing_since_s) == ({"retried": 2, "refused": 1}, None)


async def test_what_is_refused_once_and_taken_a_moment_later_was_taken() -> None:
    assert await told(Moody(SinkError("400", retryable=False), AWAY, SinkError("400", retryable=False))) == (
        {"retried": 3, "sent": 1},
        ["sink.retry_scheduled", "sink.recovered"],
    )


async def test_a_fault_of_the_sink_itself_is_a_failure_like_others_and_keeps_its_secrets() -> None:
    sink = Moody(ValueError("https://hooks.example.com/s3cret"), ValueError("https://hooks.example.com/s3cret"))
    with capture_logs() as logs:
        await Caller("erp", sink, Counter()).tell(ALERT)
    assert [line["event"] for line in logs] == ["sink.crashed", "sink.retry_scheduled", "sink.recovered"]
    assert "ValueError" in logs[1]["reason"]
    assert "deliver" in logs[0]["stack"]
    assert "s3cret" not in str(logs)


async def test_a_call_that_is_cut_short_by_a_stop_leaves_the_next_one_free_to_ask() -> None:
    caller = Caller("erp", Moody(None), Counter())
    for _ in range(5):
        caller.breaker.began()
        caller.breaker.failed(time.monotonic() - 2)
    probe = asyncio.create_task(caller.tell(ALERT))
    await asyncio.sleep(0.01)
    assert caller.breaker.wait_s(time.monotonic()) > 0
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    assert caller.breaker.wait_s(time.monotonic()) == 0
