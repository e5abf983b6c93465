"""How a request finds its handler: each API with the versions served and the code that answers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from kafka.protocol.api_message import ApiMessage

from streams.devbroker.members import Client


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler may want to know of a request besides its body."""

    version: int
    client: Client


# None means that the client expects no answer.
Handler: TypeAlias = Callable[[ApiMessage, Call], Awaitable[ApiMessage | None]]


@dataclass(frozen=True, slots=True)
class Route:
    """One API. The lowest versions are those of Kafka 4, the highest those that the clients in use ask for."""

    request: type[ApiMessage]
    min_version: int
    max_version: int
    handle: Handler

    @property
    def api_key(self) -> int:
        """The number of the API on the wire."""
        return int(self.request.API_KEY)
