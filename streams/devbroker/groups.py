"""Consumer groups of the classic protocol: who is a member, who leads, and what each one reads.

A group moves between four states:

    Empty -> PreparingRebalance -> CompletingRebalance -> Stable
                  ^ a member comes, changes, leaves or expires: from any state

It is told the time (seconds that never step back) and starts no timers: somebody has to call `tick` now and then.
Static membership (`group.instance.id`) is not supported.
"""

import asyncio
import secrets
from collections.abc import Iterator, Mapping
from enum import StrEnum

from streams.devbroker.errors import ErrorCode, Refused
from streams.devbroker.members import JoinAnswer, JoinRequest, Member, MemberIdRequired, chosen_protocol, common_protocols
from streams.devbroker.offsets import GroupOffsets


class GroupState(StrEnum):
    """The states by the names that clients are told."""

    EMPTY = "Empty"
    PREPARING = "PreparingRebalance"
    COMPLETING = "CompletingRebalance"
    STABLE = "Stable"


class Group:
    """One consumer group with its members and offsets."""

    def __init__(self, group_id: str, *, initial_delay_s: float = 0.0) -> None:
        self.group_id = group_id
        self.state = GroupState.EMPTY
        self.generation = 0
        self.leader = ""
        self.protocol_type = ""
        self.protocol = ""
        self.members: dict[str, Member] = {}
        self.offsets = GroupOffsets()
        self._initial_delay_s = initial_delay_s
        self._announced: dict[str, float] = {}  # ids given to members yet to join, and when they lapse
        self._not_before_s = 0.0
        self._deadline_s = 0.0

    def join(self, request: JoinRequest, now_s: float) -> "asyncio.Future[JoinAnswer]":
        """Join, or join again. The answer comes when the rebalance that this may start is complete.

        Raises:
            Refused: an unknown member, or one that has no assignment strategy in common with the others.
            MemberIdRequired: come back with this id.
        """
        member_id = self._admitted(request, now_s)
        answer: asyncio.Future[JoinAnswer] = asyncio.get_running_loop().create_future()
        known = self.members.get(member_id)
        if known is not None and self._needs_no_rebalance(known, request):
            known.seen(now_s)
            answer.set_result(self._answer_for(known))
            return answer
        self._place(member_id, request, now_s).joining = answer
        self._rebalance(now_s)
        return answer

    def sync(self, member_id: str, generation: int, assignments: Mapping[str, bytes], now_s: float) -> "asyncio.Future[bytes]":
        """Ask for the member's assignment; from the leader, with the assignments of all.

        Raises:
            Refused: not a member of this generation, or the next rebalance has begun.
        """
        member = self._current(member_id, generation, now_s)
        if self.state is GroupState.PREPARING:
            raise Refused(ErrorCode.REBALANCE_IN_PROGRESS)
        if self.state is GroupState.COMPLETING and member_id == self.leader:
            self.state = GroupState.STABLE
            for other in self.members.values():
                other.assignment = assignments.get(other.member_id, b"")
                other.seen(now_s)
                other.synced()
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if self.state is GroupState.STABLE:
            answer.set_result(member.assignment)
        else:
            member.turned_away(ErrorCode.REBALANCE_IN_PROGRESS)  # an earlier request of the same member
            member.syncing = answer
        return answer

    def heartbeat(self, member_id: str, generation: int, now_s: float) -> None:
        """Keep the member's session alive.

        Raises:
            Refused: not a member of this generation, or it has to join again.
        """
        self._current(member_id, generation, now_s)
        if self.state is GroupState.PREPARING:
            raise Refused(ErrorCode.REBALANCE_IN_PROGRESS)

    def check_commit(self, member_id: str, generation: int, now_s: float) -> None:
        """Let a commit pass; while the group has no members, anybody may commit without a generation.

        Raises:
            Refused: whoever commits is not a member of this generation: a zombie, most likely.
        """
        if generation < 0 and not self.members:
            return
        self._current(member_id, generation, now_s)
        if self.state is GroupState.COMPLETING:
            raise Refused(ErrorCode.REBALANCE_IN_PROGRESS)

    def leave(self, member_id: str, now_s: float) -> None:
        """Take a member out at once, or an id that was given out and not used.

        Raises:
            Refused: no such member.
        """
        if self._announced.pop(member_id, None) is not None:
            self._complete_if_all_joined(now_s)
        elif member_id in self.members:
            self._remove([member_id], now_s)
        else:
            raise Refused(ErrorCode.UNKNOWN_MEMBER_ID)

    def tick(self, now_s: float) -> None:
        """Do what time alone brings about: sessions expire, rebalances run out of patience."""
        for member_id in [key for key, lapses_s in self._announced.items() if lapses_s <= now_s]:
            del self._announced[member_id]
        members = self.members.values()
        late = {member.member_id for member in members if not member.is_waiting and member.expires_s <= now_s}
        if self.state in {GroupState.PREPARING, GroupState.COMPLETING} and self._deadline_s <= now_s:
            self._announced.clear()
            late |= {member.member_id for member in members if not member.is_waiting}
        if late:
            self._remove(sorted(late), now_s)
        self._complete_if_all_joined(now_s)

    def _admitted(self, request: JoinRequest, now_s: float) -> str:
        others = [member for member in self.members.values() if member.member_id != request.member_id]
        names = {name for name, _ in request.protocols}
        if not names or not request.protocol_type or (others and not names & common_protocols(others)):
            raise Refused(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        if others and request.protocol_type != self.protocol_type:
            raise Refused(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        if request.member_id in self.members or self._announced.pop(request.member_id, None) is not None:
            return request.member_id
        if request.member_id:
            raise Refused(ErrorCode.UNKNOWN_MEMBER_ID)
        member_id = f"{request.client.client_id}-{secrets.token_hex(16)}"
        if request.learns_member_id:
            self._announced[member_id] = now_s + request.session_timeout_s
            raise MemberIdRequired(member_id)
        return member_id

    def _needs_no_rebalance(self, known: Member, request: JoinRequest) -> bool:
        """Whether a member that joins again only missed its last answer, or may carry on as it is."""
        if list(known.protocols.items()) != list(request.protocols):
            return False
        # A leader that joins again when all is well has seen the partitions change.
        follows = self.state is GroupState.STABLE and known.member_id != self.leader
        return follows or self.state is GroupState.COMPLETING

    def _place(self, member_id: str, request: JoinRequest, now_s: float) -> Member:
        if not self.members:
            self._not_before_s = now_s + self._initial_delay_s
        self.protocol_type = request.protocol_type
        known = self.members.get(member_id)
        if known is not None:
            known.turned_away(ErrorCode.REBALANCE_IN_PROGRESS)
        member = self.members[member_id] = Member(
            member_id=member_id,
            client=request.client,
            protocols=dict(request.protocols),
            session_timeout_s=request.session_timeout_s,
            rebalance_timeout_s=request.rebalance_timeout_s,
            expires_s=now_s + request.session_timeout_s,
        )
        return member

    def _current(self, member_id: str, generation: int, now_s: float) -> Member:
        member = self.members.get(member_id)
        if member is None:
            raise Refused(ErrorCode.UNKNOWN_MEMBER_ID)
        if generation != self.generation:
            raise Refused(ErrorCode.ILLEGAL_GENERATION)
        member.seen(now_s)
        return member

    def _remove(self, member_ids: list[str], now_s: float) -> None:
        for member_id in member_ids:
            self.members.pop(member_id).turned_away(ErrorCode.UNKNOWN_MEMBER_ID)
        self._rebalance(now_s)

    def _rebalance(self, now_s: float) -> None:
        if self.state is not GroupState.PREPARING:
            for member in self.members.values():
                if member.syncing is not None:
                    member.turned_away(ErrorCode.REBALANCE_IN_PROGRESS)
            self.state = GroupState.PREPARING
            self._deadline_s = self._patience_ends(now_s)
        self._complete_if_all_joined(now_s)

    def _patience_ends(self, now_s: float) -> float:
        return now_s + max((member.rebalance_timeout_s for member in self.members.values()), default=0.0)

    def _complete_if_all_joined(self, now_s: float) -> None:
        if self.state is not GroupState.PREPARING or self._announced or now_s < self._not_before_s:
            return
        if any(member.joining is None for member in self.members.values()):
            return
        self.generation += 1
        if not self.members:
            self.state, self.leader, self.protocol = GroupState.EMPTY, "", ""
            return
        self.state = GroupState.COMPLETING
        self._deadline_s = self._patience_ends(now_s)
        self.protocol = chosen_protocol(self.members.values())
        if self.leader not in self.members:
            self.leader = next(iter(self.members))
        for member in self.members.values():
            member.seen(now_s)
            member.joined(self._answer_for(member))

    def _answer_for(self, member: Member) -> JoinAnswer:
        is_leader = member.member_id == self.leader
        told = self.members.values() if is_leader else ()
        subscriptions = tuple((other.member_id, other.protocols[self.protocol]) for other in told)
        return JoinAnswer(self.generation, self.protocol_type, self.protocol, self.leader, member.member_id, subscriptions)


class GroupRegistry:
    """All groups, by id."""

    def __init__(self, *, initial_delay_s: float = 0.0) -> None:
        self._initial_delay_s = initial_delay_s
        self._groups: dict[str, Group] = {}

    def __iter__(self) -> Iterator[Group]:
        return iter(list(self._groups.values()))

    def find(self, group_id: str) -> Group | None:
        """The group, or None."""
        return self._groups.get(group_id)

    def member_of(self, group_id: str) -> Group:
        """The group, for somebody who claims to be a member of it.

        Raises:
            Refused: there is no such group, so nobody is.
        """
        found = self._groups.get(group_id)
        if found is None:
            raise Refused(ErrorCode.UNKNOWN_MEMBER_ID)
        return found

    def get_or_create(self, group_id: str) -> Group:
        """The group, made now if need be.

        Raises:
            Refused: the id is empty.
        """
        if not group_id:
            raise Refused(ErrorCode.INVALID_GROUP_ID)
        return self._groups.setdefault(group_id, Group(group_id, initial_delay_s=self._initial_delay_s))

    def delete(self, group_id: str) -> None:
        """Delete a group with its offsets.

        Raises:
            Refused: there is no such group, or it has members.
        """
        found = self._groups.get(group_id)
        if found is None:
            raise Refused(ErrorCode.GROUP_ID_NOT_FOUND)
        if found.members:
            raise Refused(ErrorCode.NON_EMPTY_GROUP)
        del self._groups[group_id]
