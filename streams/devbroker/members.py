"""The members of a consumer group, as the group keeps them, and what they are told."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from streams.devbroker.errors import ErrorCode, Refused


class MemberIdRequired(Refused):
    """A new member has to join again, with the id it is given here."""

    def __init__(self, member_id: str) -> None:
        super().__init__(ErrorCode.MEMBER_ID_REQUIRED)
        self.member_id = member_id


@dataclass(frozen=True, slots=True)
class Client:
    """Who is at the other end of a connection."""

    client_id: str
    host: str


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """What a consumer says when it joins.

    `protocols` are the assignment strategies it knows, the preferred first, each with the consumer's subscription.
    A new consumer has no `member_id` yet; with `learns_member_id` it is sent away once to come back with one.
    """

    member_id: str
    client: Client
    protocol_type: str
    protocols: tuple[tuple[str, bytes], ...]
    session_timeout_s: float
    rebalance_timeout_s: float
    learns_member_id: bool


@dataclass(frozen=True, slots=True)
class JoinAnswer:
    """The generation that a member has joined. Only the leader learns of the other members."""

    generation: int
    protocol_type: str
    protocol: str
    leader: str
    member_id: str
    subscriptions: tuple[tuple[str, bytes], ...]


@dataclass(slots=True)
class Member:
    """A consumer in a group. `joining` and `syncing` are what it waits for, if it does."""

    member_id: str
    client: Client
    protocols: dict[str, bytes]
    session_timeout_s: float
    rebalance_timeout_s: float
    expires_s: float
    assignment: bytes = b""
    joining: "asyncio.Future[JoinAnswer] | None" = field(default=None, repr=False)
    syncing: "asyncio.Future[bytes] | None" = field(default=None, repr=False)

    @property
    def is_waiting(self) -> bool:
        """Whether the broker owes it an answer: it cannot send a heartbeat meanwhile, so it does not expire."""
        return self.joining is not None or self.syncing is not None

    def seen(self, now_s: float) -> None:
        """Start the session time-out again."""
        self.expires_s = now_s + self.session_timeout_s

    def turned_away(self, code: ErrorCode) -> None:
        """Answer with an error whatever the member waits for."""
        for waiting in (self.joining, self.syncing):
            if waiting is not None and not waiting.done():
                waiting.set_exception(Refused(code))
        self.joining = self.syncing = None

    def joined(self, answer: JoinAnswer) -> None:
        """Answer its join request."""
        if self.joining is not None and not self.joining.done():
            self.joining.set_result(answer)
        self.joining = None

    def synced(self) -> None:
        """Answer its sync request with the assignment."""
        if self.syncing is not None and not self.syncing.done():
            self.syncing.set_result(self.assignment)
        self.syncing = None


def common_protocols(members: Iterable[Member]) -> set[str]:
    """The assignment strategies that all members know."""
    known = [set(member.protocols) for member in members]
    return set.intersection(*known) if known else set()


def chosen_protocol(members: Iterable[Member]) -> str:
    """The strategy most members prefer among those that all know; there has to be one."""
    voters = list(members)
    common = common_protocols(voters)
    votes = Counter(next(name for name in member.protocols if name in common) for member in voters)
    return votes.most_common(1)[0][0]
