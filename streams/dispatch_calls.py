"""Telling a sink: as often as it takes, with pauses, and never longer than a call may take."""

import asyncio
import random
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from sinks.base import TRACEPARENT, Delivery, Sink, SinkError
from streams.breaker import Breaker

RESULTS: Final = ("sent", "retried", "refused")
"""What a call can come to."""
CALL_WITHIN_S: Final = 30.0
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 30.0
_TRIES_OF_REFUSED: Final = 3
"""A sink may refuse for good what it takes a moment later, as while it is being deployed."""
_LEAST_JITTER: Final = 0.5

log = structlog.get_logger("churn.dispatch")


class Refused(Exception):  # noqa: N818 - what became of it
    """The sink will never take it; the message is the sink's."""


class Caller:
    """Calls one sink for one recipient.

    Args:
        recipient: for logs.
        sink: to be called.
        results: where calls are counted: `sent`, `retried`, `refused`.
        within_s: longest that one call may take.
    """

    def __init__(self, recipient: str, sink: Sink, results: Counter[str], within_s: float = CALL_WITHIN_S) -> None:
        self.breaker = Breaker()
        self._recipient = recipient
        self._sink = sink
        self._results = results
        self._within_s = within_s
        self._told_trouble = False

    async def tell(self, delivery: Delivery, traceparent: str = "") -> None:
        """Return when the sink has it.

        Args:
            delivery: to be told.
            traceparent: of the record that it tells of; empty if it has none.

        Raises:
            Refused: it never will.
        """
        before = TRACEPARENT.set(traceparent)
        try:
            await self.until_taken(lambda: self._sink.deliver([delivery]))
        finally:
            TRACEPARENT.reset(before)
        self._results["sent"] += 1

    async def until_taken(self, call: Callable[[], Awaitable[None]]) -> None:
        """Call until it goes through.

        Raises:
            Refused: the sink said so three times.
        """
        attempt = refusals = 0
        while True:
            await self._wait_for_the_breaker()
            error = await self._called(call)
            if error is None:
                return
            attempt += 1
            if not error.retryable:
                refusals += 1
                if refusals == _TRIES_OF_REFUSED:
                    self._results["refused"] += 1
                    log.error("sink.refused", sink=self._recipient, reason=str(error))
                    raise Refused(str(error))
            self._results["retried"] += 1
            await asyncio.sleep(_pause_s(attempt, error.retry_after_s))

    async def _wait_for_the_breaker(self) -> None:
        while (wait_s := self.breaker.wait_s(time.monotonic())) > 0:  # noqa: ASYNC110 - time alone ends it
            await asyncio.sleep(wait_s)
        self.breaker.began()

    async def _called(self, call: Callable[[], Awaitable[None]]) -> SinkError | None:
        try:
            async with asyncio.timeout(self._within_s):
                await call()
        except TimeoutError:
            return self._failed(SinkError(f"no answer within {self._within_s:g} s", retryable=True))
        except SinkError as error:
            # What is refused was answered: the other side is there.
            return self._failed(error) if error.retryable else self._answered(error)
        except asyncio.CancelledError:
            self.breaker.gave_up()
            raise
        except Exception as error:  # noqa: BLE001 - a fault in one sink holds up its own recipient, and nobody else
            return self._crashed(error)
        self._answered(None)
        return None

    def _answered(self, error: SinkError | None) -> SinkError | None:
        self.breaker.took()
        if self._told_trouble:
            self._told_trouble = False
            log.info("sink.recovered", sink=self._recipient)
        return error

    def _crashed(self, error: Exception) -> SinkError:
        """The message is kept out: it may have an address with a secret in it."""
        kind = type(error).__name__
        if not self._told_trouble:
            stack = "".join(traceback.format_tb(error.__traceback__))
            log.error("sink.crashed", sink=self._recipient, error=kind, stack=stack)
        return self._failed(SinkError(f"the sink itself failed: {kind}", retryable=True))

    def _failed(self, error: SinkError) -> SinkError:
        opened = self.breaker.failed(time.monotonic())
        if opened:
            log.warning("sink.breaker_opened", sink=self._recipient, reason=str(error))
        elif not self._told_trouble:
            log.warning("sink.retry_scheduled", sink=self._recipient, reason=str(error))
        self._told_trouble = True
        return error


def _pause_s(attempt: int, asked_s: float | None) -> float:
    """Twice as long each time, spread so that many do not come back at once, and not before the sink wants it."""
    pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(attempt - 1, 20))
    spread_s = pause_s * random.uniform(_LEAST_JITTER, 1.0)  # noqa: S311 - not a secret
    return max(spread_s, asked_s or 0.0)
