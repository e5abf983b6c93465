"""Which member of a consumer group reads which partition: as before, except for what has to move.

Faust takes aiokafka's round robin, which deals all partitions anew whenever a member comes or goes: nearly every
partition changes hands, and each change is a restore. aiokafka's own sticky assignor is of no use here. It keeps what a
member held in attributes of its class (coordinator/assignors/sticky/sticky_assignor.py), so that the groups of one
process overwrite each other; and nothing calls its `on_generation_assignment` (consumer/group_coordinator.py), so that
a process which slept through a rebalance claims its old partitions with the same right as their new owner.
"""

from collections import Counter
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
    everything = [TP(topic, number) for topic in sorted(partitions) for number in range(partitions[topic])]
    readers = {topic: [member for member in sorted(members) if topic in members[member].topics] for topic in partitions}
    given = _kept(members, everything)
    taken = set().union(*given.values())
    # Partitions that few may read go first: the others can make up for an imbalance.
    for tp in sorted(everything, key=lambda tp: (len(readers[tp.topic]), tp)):
        if tp not in taken and readers[tp.topic]:
            least = min(readers[tp.topic], key=lambda member: (len(given[member]), _of_topic(given[member], tp.topic), member))
            given[least].add(tp)
    while move := next(_moves(members, given), None):
        giver, taker = move
        tp = _to_move(given[giver], given[taker], members[taker].topics)
        given[giver].remove(tp)
        given[taker].add(tp)
    return given


def _kept(members: Mapping[str, Member], everything: Iterable[TP]) -> dict[str, set[TP]]:
    """What the members held and still want; of two claims to a partition the later one stands."""
    kept: dict[str, set[TP]] = {member: set() for member in sorted(members)}
    claims: dict[TP, list[tuple[int, str]]] = {}
    for member_id, member in members.items():
        for tp in member.held:
            if tp.topic in member.topics:
                claims.setdefault(tp, []).append((member.generation, member_id))
    for tp in everything:
        if tp in claims:
            kept[max(claims[tp])[1]].add(tp)
    return kept


def _moves(members: Mapping[str, Member], given: Mapping[str, set[TP]]) -> Iterator[tuple[str, str]]:
    """Who should give a partition to whom; the most unequal pair first. Each move makes the sum of squares smaller."""
    by_size = sorted(given, key=lambda member: (len(given[member]), member))
    for giver in reversed(by_size):
        for taker in by_size:
            if len(given[giver]) <= len(given[taker]) + 1:
                break
            if any(tp.topic in members[taker].topics for tp in given[giver]):
                yield giver, taker


def _to_move(giver: set[TP], taker: set[TP], topics: frozenset[str]) -> TP:
    """Of the topic that the giver has most of, compared with the taker: a busy topic should not end at one member."""
    surplus = Counter(tp.topic for tp in giver)
    surplus.subtract(tp.topic for tp in taker)
    return min((tp for tp in giver if tp.topic in topics), key=lambda tp: (-surplus[tp.topic], tp))


def _of_topic(given: set[TP], topic: str) -> int:
    return sum(tp.topic == topic for tp in given)


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
