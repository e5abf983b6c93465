"""Which member of a consumer group reads which partition: as before, except for what has to move.

Faust takes aiokafka's round robin, which deals all partitions anew whenever a member comes or goes: nearly every
partition changes hands, and each change is a restore. aiokafka's own sticky assignor is of no use here. It keeps what a
member held in attributes of its class (coordinator/assignors/sticky/sticky_assignor.py), so that the groups of one
process overwrite each other; and nothing calls its `on_generation_assignment` (consumer/group_coordinator.py), so that
a process which slept through a rebalance claims its old partitions with the same right as their new owner.
"""

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from faust.types import TP

NO_GENERATION: Final = -1
_CLAIM_VERSION: Final = 1


@dataclass(frozen=True)
class Member:
    """What a member wants to read, and what it was given last."""

    topics: frozenset[str]
    generation: int = NO_GENERATION
    """Of the group, when it was given `held`."""
    held: frozenset[TP] = frozenset()


def assign(members: Mapping[str, Member], partitions: Mapping[str, int]) -> dict[str, set[TP]]:
    """Give each partition to a member that wants its topic; the same members make the same assignment everywhere.

    Among members that want the same topics nobody has two partitions more than another, and as few move as that allows.
    Who was given a partition in a later generation has the better claim to it.

    >>> everything = TP("log", 0), TP("log", 1), TP("log", 2), TP("log", 3)
    >>> old, new = Member(frozenset({"log"}), 7, frozenset(everything)), Member(frozenset({"log"}))
    >>> {member: sorted(tp.partition for tp in tps) for member, tps in assign({"old": old, "new": new}, {"log": 4}).items()}
    {'new': [0, 1], 'old': [2, 3]}

    Args:
        members: by member id.
        partitions: how many each topic has; a topic that is not there has none yet.
    """
    readers = {topic: [member for member in sorted(members) if topic in members[member].topics] for topic in partitions}
    kept = _kept(members, partitions)
    given: dict[str, _Given] = {member: _Given() for member in sorted(members)}
    for tp, member in kept.items():
        given[member].add(tp)
    # Partitions that few may read go first: the others can make up for an imbalance.
    for topic in sorted(partitions, key=lambda topic: (len(readers[topic]), topic)):
        for tp in (TP(topic, number) for number in range(partitions[topic]) if readers[topic]):
            if tp not in kept:
                given[min(readers[topic], key=lambda member: (given[member].size, given[member].of(tp.topic), member))].add(tp)
    while move := next(_moves(members, given), None):
        giver, taker = move
        given[taker].add(given[giver].give_to(given[taker], members[taker].topics))
    return {
        member: {TP(topic, number) for topic in mine.numbers for number in mine.numbers[topic]}
        for member, mine in given.items()
    }


class _Given:
    """What one member is given."""

    def __init__(self) -> None:
        self.size = 0
        self.numbers: dict[str, list[int]] = {}
        """By topic, each a heap: a group may have thousands of partitions, and its leader must not miss its heartbeats."""

    def of(self, topic: str) -> int:
        """How many of a topic."""
        return len(self.numbers.get(topic, ()))

    def add(self, tp: TP) -> None:
        """One more."""
        heapq.heappush(self.numbers.setdefault(tp.topic, []), tp.partition)
        self.size += 1

    def give_to(self, taker: "_Given", topics: frozenset[str]) -> TP:
        """Of the topic that this member has most of, compared with the taker: a busy topic should not end at one member."""
        wanted = [topic for topic in self.numbers if topic in topics and self.numbers[topic]]
        topic = min(wanted, key=lambda topic: (taker.of(topic) - self.of(topic), topic))
        self.size -= 1
        return TP(topic, heapq.heappop(self.numbers[topic]))


def _kept(members: Mapping[str, Member], partitions: Mapping[str, int]) -> dict[TP, str]:
    """What the members held and still want; of two claims to a partition the later one stands."""
    claims: dict[TP, list[tuple[int, str]]] = {}
    for member_id, member in members.items():
        for tp in member.held:
            if tp.topic in member.topics and 0 <= tp.partition < partitions.get(tp.topic, 0):
                claims.setdefault(tp, []).append((member.generation, member_id))
    return {tp: max(claims[tp])[1] for tp in sorted(claims)}


def _moves(members: Mapping[str, Member], given: Mapping[str, _Given]) -> Iterator[tuple[str, str]]:
    """Who should give a partition to whom; the most unequal pair first. Each move makes the sum of squares smaller."""
    by_size = sorted(given, key=lambda member: (given[member].size, member))
    for giver in reversed(by_size):
        for taker in by_size:
            if given[giver].size <= given[taker].size + 1:
                break
            if any(given[giver].of(topic) for topic in members[taker].topics):
                yield giver, taker


class _Claim(msgspec.Struct, array_like=True, frozen=True):
    """What a member adds to its request to join."""

    version: int
    generation: int
    held: dict[str, list[int]]


class KnownTopics(Protocol):
    """What aiokafka's `ClusterMetadata` says of topics."""

    def partitions_for_topic(self, topic: str) -> Collection[int] | None:
        """Their numbers; None for a topic that is not there."""


class StickyAssignor:
    """The assignor of one consumer, in the form that aiokafka's coordinator calls.

    It bears the name of the round robin. A broker refuses a member that has no assignor's name in common with the
    others, and aiokafka joins the group once for each name that it offers (`CoordinatorGroupRebalance.perform_group_join`,
    consumer/group_coordinator.py). So members with a real round robin, of an earlier release, may be in the group: one
    that leads it deals the partitions anew, one that follows has no claim, and all get along.
    """

    name = "roundrobin"
    version = 0

    def __init__(self, generation: Callable[[], int]) -> None:
        self._generation = generation
        self._claim: _Claim | None = None

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """For the request to join: what this member wants, and what it was given last."""
        claim = b"" if self._claim is None else msgspec.msgpack.encode(self._claim)
        return ConsumerProtocolMemberMetadata(self.version, sorted(topics), claim)

    def assign(
        self, cluster: KnownTopics, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Called where the group has its leader: what each member gets."""
        wanted = {member_id: _member_of(metadata) for member_id, metadata in members.items()}
        topics = frozenset[str]().union(*(member.topics for member in wanted.values()))
        given = assign(wanted, {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics})
        return {
            member_id: ConsumerProtocolMemberAssignment(self.version, sorted(_by_topic(tps).items()), b"")
            for member_id, tps in given.items()
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Called when this member has been given partitions."""
        self._claim = _Claim(_CLAIM_VERSION, self._generation(), _by_topic(TP(*tp) for tp in assignment.partitions()))


def _member_of(metadata: ConsumerProtocolMemberMetadata) -> Member:
    """The claim of a member; one that cannot be read is none."""
    topics = frozenset(metadata.subscription)
    try:
        claim = msgspec.msgpack.decode(metadata.user_data or b"", type=_Claim)
    except msgspec.DecodeError:
        return Member(topics)
    if claim.version != _CLAIM_VERSION:
        return Member(topics)
    held = frozenset(TP(topic, number) for topic, numbers in claim.held.items() for number in numbers)
    return Member(topics, claim.generation, held)


def _by_topic(tps: Iterable[TP]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for tp in sorted(tps):
        found.setdefault(tp.topic, []).append(tp.partition)
    return found
