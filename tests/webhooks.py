"""Load on a door: pywrkr sends, and each webhook is one of its own, so that what was answered can be looked for."""

import asyncio
import itertools
import json
import logging
from dataclasses import dataclass, field
from typing import Any, Final
from unittest import mock

import pywrkr
import pywrkr.workers
from door_run import signed

# Every refused connection is a warning there, and here they are what is wanted.
logging.getLogger("pywrkr").setLevel(logging.ERROR)

_PADDING: Final = "x" * 600
"""With the rest a webhook is as large as one about a small order."""
_REFUSED_PAUSE_S: Final = 0.02


@dataclass
class Sent:
    """The webhooks of a load by their numbers."""

    numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    answered: set[int] = field(default_factory=set)
    """Of those the door said that they are stored."""
    enough: bool = False
    """Set to end a load before its time."""

    def lost(self, values: list[bytes]) -> set[int]:
        """Answered, but not among the values of the records."""
        return self.answered - {int(json.loads(value)["number"]) for value in values}


class _Session(pywrkr.BackendSession):
    """Gives each request its own body and signature, and remembers what was answered 202."""

    def __init__(self, inner: pywrkr.BackendSession, sent: Sent) -> None:
        self._inner, self._sent = inner, sent

    async def __aenter__(self) -> "_Session":
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        await self._inner.__aexit__(*exc_info)

    async def send(self, method: str, url: str, headers: dict[str, str], body: bytes | None, *args: Any, **more: Any) -> Any:
        assert body is None
        if self._sent.enough:
            raise asyncio.CancelledError  # which ends this connection's loop, and nothing else
        number = next(self._sent.numbers)
        own = json.dumps({"number": number, "padding": _PADDING}).encode()
        try:
            answer = await self._inner.send(method, url, {**headers, **signed(own)}, own, *args, **more)
        except OSError:
            await asyncio.sleep(_REFUSED_PAUSE_S)
            raise
        if answer.status == 202:
            self._sent.answered.add(number)
        return answer

    def clear_cookies(self) -> None:
        self._inner.clear_cookies()


class _Backend(pywrkr.AiohttpBackend):
    def __init__(self, config: pywrkr.Config, pool_limit: int, sent: Sent) -> None:
        super().__init__(config, pool_limit)
        self._sent = sent

    def create_session(self, stats: Any, isolate_cookies: bool = True) -> pywrkr.BackendSession:  # noqa: FBT001
        return _Session(super().create_session(stats, isolate_cookies), self._sent)


async def load(address: str, sent: Sent, *, seconds: float, connections: int) -> pywrkr.Result:
    """Send as fast as the door answers, over so many connections at once, for so long or until it is enough."""

    def backend(config: pywrkr.Config, pool_limit: int) -> _Backend:
        return _Backend(config, pool_limit, sent)

    with mock.patch.object(pywrkr.workers, "create_backend", backend):
        return await pywrkr.arun(address, method="POST", duration=seconds, connections=connections, timeout_sec=10)
