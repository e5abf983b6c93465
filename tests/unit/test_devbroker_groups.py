"""Consumer groups of the development broker: who is in, who leads, and who has to join again."""

import asyncio
from dataclasses import replace

import pytest

from streams.devbroker.errors import ErrorCode, Refused
from streams.devbroker.groups import Group, GroupRegistry, GroupState
from streams.devbroker.members import Client, JoinAnswer, JoinRequest, MemberIdRequired
from streams.devbroker.offsets import CommittedOffset

SESSION_S = 10.0
REBALANCE_S = 60.0
NEW = JoinRequest(
    member_id="",
    client=Client("client", "127.0.0.1"),
    protocol_type="consumer",
    protocols=(("range", b"topics"), ("sticky", b"topics")),
    session_timeout_s=SESSION_S,
    rebalance_timeout_s=REBALANCE_S,
    learns_member_id=False,
)


@pytest.fixture
def group() -> Group:
    return Group("group")


def again(joined: JoinAnswer, **changes: object) -> JoinRequest:
    return replace(NEW, member_id=joined.member_id, **changes)  # type: ignore[arg-type]


def code_of(waiting: "asyncio.Future[JoinAnswer] | asyncio.Future[bytes]") -> ErrorCode:
    error = waiting.exception()
    assert isinstance(error, Refused)
    return error.code


async def one_stable_member(group: Group) -> JoinAnswer:
    joined = await group.join(NEW, 0.0)
    assert await group.sync(joined.member_id, joined.generation, {joined.member_id: b"all"}, 0.0) == b"all"
    return joined


async def leader_and_follower(group: Group) -> tuple[JoinAnswer, JoinAnswer]:
    first = await group.join(NEW, 0.0)
    waiting = group.join(NEW, 0.0)
    leader = await group.join(again(first), 0.0)
    follower = await waiting
    following = group.sync(follower.member_id, follower.generation, {}, 0.0)
    shares = {leader.member_id: b"half", follower.member_id: b"other half"}
    assert await group.sync(leader.member_id, leader.generation, shares, 0.0) == b"half"
    assert await following == b"other half"
    return leader, follower


async def test_the_first_member_leads_and_gets_what_it_assigns_itself(group: Group) -> None:
    joined = await one_stable_member(group)
    assert joined.leader == joined.member_id
    assert joined.subscriptions == ((joined.member_id, b"topics"),)
    assert (group.state, group.generation) == (GroupState.STABLE, 1)


async def test_a_second_member_waits_until_the_first_has_joined_again(group: Group) -> None:
    first = await one_stable_member(group)
    waiting = group.join(NEW, 1.0)
    assert not waiting.done()
    with pytest.raises(Refused, match="REBALANCE_IN_PROGRESS"):
        group.heartbeat(first.member_id, first.generation, 1.0)
    leader = await group.join(again(first), 2.0)
    follower = await waiting
    assert leader.generation == follower.generation == 2
    assert [member_id for member_id, _ in leader.subscriptions] == [leader.member_id, follower.member_id]
    assert follower.subscriptions == ()


async def test_a_member_that_does_not_join_again_in_time_is_left_out(group: Group) -> None:
    first = await one_stable_member(group)
    waiting = group.join(NEW, 1.0)
    for now_s in (5.0, 14.0, 23.0, 32.0, 41.0, 50.0, 59.0):  # it sends heartbeats, but never joins
        with pytest.raises(Refused):
            group.heartbeat(first.member_id, first.generation, now_s)
        group.tick(now_s)
        assert not waiting.done()
    group.tick(1.0 + REBALANCE_S)
    joined = await waiting
    assert list(group.members) == [joined.member_id] == [joined.leader]


async def test_a_follower_that_joins_again_unchanged_disturbs_nobody(group: Group) -> None:
    _, follower = await leader_and_follower(group)
    assert await group.join(again(follower), 1.0) == follower
    assert group.state is GroupState.STABLE


async def test_a_follower_with_another_subscription_starts_a_rebalance(group: Group) -> None:
    leader, follower = await leader_and_follower(group)
    waiting = group.join(again(follower, protocols=(("range", b"other"),)), 1.0)
    assert group.state is GroupState.PREPARING
    rejoined = await group.join(again(leader), 1.0)
    assert dict(rejoined.subscriptions)[follower.member_id] == b"other"
    assert (await waiting).generation == leader.generation + 1


async def test_a_leader_that_joins_again_starts_a_rebalance(group: Group) -> None:
    leader, follower = await leader_and_follower(group)
    waiting = group.join(again(leader), 1.0)
    assert group.state is GroupState.PREPARING
    await group.join(again(follower), 1.0)
    assert (await waiting).leader == leader.member_id


async def test_a_silent_member_expires_at_the_end_of_its_session(group: Group) -> None:
    leader, follower = await leader_and_follower(group)
    group.heartbeat(leader.member_id, leader.generation, 5.0)
    group.tick(9.9)
    assert set(group.members) == {leader.member_id, follower.member_id}
    group.tick(SESSION_S)
    assert set(group.members) == {leader.member_id}
    assert group.state is GroupState.PREPARING


async def test_a_member_that_waits_for_an_answer_does_not_expire(group: Group) -> None:
    first = await one_stable_member(group)
    waiting = group.join(NEW, 0.0)
    for now_s in (8.0, 16.0):
        with pytest.raises(Refused):
            group.heartbeat(first.member_id, first.generation, now_s)
        group.tick(now_s)
    assert not waiting.done()
    assert len(group.members) == 2


async def test_the_last_member_leaves_an_empty_group_with_its_offsets(group: Group) -> None:
    joined = await one_stable_member(group)
    group.offsets.commit({("topic", 0): CommittedOffset(7)})
    group.leave(joined.member_id, 1.0)
    assert (group.state, group.members) == (GroupState.EMPTY, {})
    assert group.offsets.committed(("topic", 0)) == CommittedOffset(7)


async def test_a_follower_waiting_for_its_share_is_sent_back_when_the_leader_goes(group: Group) -> None:
    first = await group.join(NEW, 0.0)
    waiting = group.join(NEW, 0.0)
    leader = await group.join(again(first), 0.0)
    follower = await waiting
    share = group.sync(follower.member_id, follower.generation, {}, 0.0)
    group.leave(leader.member_id, 1.0)
    assert code_of(share) is ErrorCode.REBALANCE_IN_PROGRESS
    rejoined = await group.join(again(follower), 1.0)
    assert rejoined.leader == follower.member_id


async def test_a_leader_that_never_assigns_is_left_out(group: Group) -> None:
    first = await group.join(NEW, 0.0)
    waiting = group.join(NEW, 0.0)
    leader = await group.join(again(first), 0.0)
    follower = await waiting
    share = group.sync(follower.member_id, follower.generation, {}, 0.0)
    for now_s in range(5, 60, 5):
        group.heartbeat(leader.member_id, leader.generation, now_s)
    group.tick(REBALANCE_S)
    assert list(group.members) == [follower.member_id]
    assert code_of(share) is ErrorCode.REBALANCE_IN_PROGRESS


async def test_a_new_member_is_sent_away_once_to_learn_its_id(group: Group) -> None:
    wish = replace(NEW, learns_member_id=True)
    with pytest.raises(MemberIdRequired) as required:
        group.join(wish, 0.0)
    joined = await group.join(replace(wish, member_id=required.value.member_id), 0.0)
    assert joined.member_id == required.value.member_id


async def test_a_member_id_that_is_not_used_lapses(group: Group) -> None:
    with pytest.raises(MemberIdRequired) as required:
        group.join(replace(NEW, learns_member_id=True), 0.0)
    waiting = group.join(NEW, 0.0)
    group.tick(SESSION_S - 0.1)
    assert not waiting.done()
    group.tick(SESSION_S)
    await waiting
    with pytest.raises(Refused, match="UNKNOWN_MEMBER_ID"):
        group.join(replace(NEW, member_id=required.value.member_id), SESSION_S)


async def test_the_strategy_is_one_that_all_know(group: Group) -> None:
    first = await group.join(NEW, 0.0)
    waiting = group.join(replace(NEW, protocols=(("roundrobin", b""), ("sticky", b""))), 0.0)
    joined = await group.join(again(first), 0.0)
    assert joined.protocol == (await waiting).protocol == "sticky"


async def test_a_member_without_a_common_strategy_is_refused(group: Group) -> None:
    await one_stable_member(group)
    with pytest.raises(Refused, match="INCONSISTENT_GROUP_PROTOCOL"):
        group.join(replace(NEW, protocols=(("roundrobin", b""),)), 1.0)


async def test_members_that_start_together_join_one_generation() -> None:
    group = Group("group", initial_delay_s=0.1)
    first, second = group.join(NEW, 0.0), group.join(NEW, 0.05)
    group.tick(0.1)
    assert (await first).generation == (await second).generation == 1


async def test_only_members_of_this_generation_commit(group: Group) -> None:
    group.check_commit("", -1, 0.0)  # nobody is a member, so anybody may
    first = await one_stable_member(group)
    group.check_commit(first.member_id, first.generation, 1.0)
    for member_id, generation, refusal in (
        ("", -1, "UNKNOWN_MEMBER_ID"),
        ("zombie", first.generation, "UNKNOWN_MEMBER_ID"),
        (first.member_id, first.generation - 1, "ILLEGAL_GENERATION"),
    ):
        with pytest.raises(Refused, match=refusal):
            group.check_commit(member_id, generation, 1.0)


async def test_a_member_may_still_commit_before_it_joins_again(group: Group) -> None:
    first = await one_stable_member(group)
    waiting = group.join(NEW, 1.0)
    group.check_commit(first.member_id, first.generation, 1.0)
    waiting.cancel()


async def test_a_group_with_members_is_not_deleted() -> None:
    groups = GroupRegistry()
    group = groups.get_or_create("group")
    joined = await one_stable_member(group)
    with pytest.raises(Refused, match="NON_EMPTY_GROUP"):
        groups.delete("group")
    group.leave(joined.member_id, 1.0)
    groups.delete("group")
    with pytest.raises(Refused, match="GROUP_ID_NOT_FOUND"):
        groups.delete("group")
