"""Laws of the assignment of partitions: everything is read once, evenly, and moves only if it must."""

import itertools
from collections import Counter
from collections.abc import Mapping
from random import Random

from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from streams.assignment import Member, assign

TOPICS = ("alerts", "log")
Group = tuple[dict[str, Member], dict[str, int]]


@st.composite
def groups(draw: st.DrawFn, *, same_topics: bool) -> Group:
    """Members with claims of any generation to anything, also to what is not there (any more)."""
    partitions = draw(st.dictionaries(st.sampled_from(TOPICS), st.integers(0, 7), min_size=1))
    topics = st.frozensets(st.sampled_from(TOPICS), min_size=1)
    common = draw(topics)
    held = st.frozensets(st.builds(TP, st.sampled_from(TOPICS), st.integers(0, 8)), max_size=10)
    members = {
        f"m{number}": Member(common if same_topics else draw(topics), draw(st.integers(-1, 4)), draw(held))
        for number in range(draw(st.integers(1, 4)))
    }
    return members, partitions


def claimed(members: Mapping[str, Member], partitions: Mapping[str, int]) -> dict[TP, str]:
    """Who has the best claim to each partition, said in the plainest way."""
    best: dict[TP, str] = {}
    for _, member_id, member in sorted((member.generation, member_id, member) for member_id, member in members.items()):
        for tp in member.held:
            if tp.topic in member.topics and tp.partition < partitions.get(tp.topic, 0):
                best[tp] = member_id
    return best


@given(groups(same_topics=False))
def test_every_partition_that_somebody_wants_has_one_reader_that_wants_it(group: Group) -> None:
    members, partitions = group
    given_to = Counter(tp for tps in assign(members, partitions).values() for tp in tps)
    wanted = {topic for member in members.values() for topic in member.topics}
    assert given_to == Counter(TP(topic, number) for topic in wanted for number in range(partitions.get(topic, 0)))
    for member_id, tps in assign(members, partitions).items():
        assert {tp.topic for tp in tps} <= members[member_id].topics


@given(groups(same_topics=True))
def test_nobody_has_two_more_than_another(group: Group) -> None:
    sizes = [len(tps) for tps in assign(*group).values()]
    assert max(sizes) - min(sizes) <= 1


@given(groups(same_topics=False))
def test_no_single_move_would_make_it_more_even(group: Group) -> None:
    members, partitions = group
    result = assign(members, partitions)
    for giver, taker in itertools.permutations(result, 2):
        if any(tp.topic in members[taker].topics for tp in result[giver]):
            assert len(result[giver]) <= len(result[taker]) + 1


@given(groups(same_topics=True))
def test_no_even_assignment_moves_less(group: Group) -> None:
    members, partitions = group
    result, best = assign(members, partitions), claimed(members, partitions)
    held = Counter(best.values())
    total = sum(len(tps) for tps in result.values())
    low, rest = divmod(total, len(members))
    sizes = [low + 1] * rest + [low] * (len(members) - rest)
    #  However the sizes are dealt out: who held more than its size gives the surplus away, and nobody else has to.
    fewest = min(
        sum(max(0, held[member] - size) for member, size in zip(members, dealt, strict=True))
        for dealt in itertools.permutations(sizes)
    )
    assert sum(tp not in result[member] for tp, member in best.items()) == fewest


@given(groups(same_topics=False), st.randoms())
def test_the_order_in_which_members_are_named_changes_nothing(group: Group, random: Random) -> None:
    members, partitions = group
    names = list(members)
    random.shuffle(names)
    assert assign({name: members[name] for name in names}, partitions) == assign(members, partitions)


@given(groups(same_topics=False), st.integers(5, 9))
def test_an_assignment_that_was_made_stays(group: Group, generation: int) -> None:
    members, partitions = group
    result = assign(members, partitions)
    again = {name: Member(members[name].topics, generation, frozenset(result[name])) for name in members}
    assert assign(again, partitions) == result


@given(groups(same_topics=True), st.integers(5, 9))
def test_a_claim_of_a_later_generation_wins(group: Group, generation: int) -> None:
    members, partitions = group
    result = assign(members, partitions)
    later = {name: Member(members[name].topics, generation, frozenset(result[name])) for name in members}
    everything = frozenset().union(*result.values())
    #  A process that slept through the rebalance still believes that it reads everything.
    zombie = {"zombie": Member(members["m0"].topics, generation - 1, everything)}
    joined = assign(later | zombie, partitions)
    total, fair = len(everything), len(everything) // (len(members) + 1)
    assert len(joined["zombie"]) == fair
    assert sum(len(joined[name] & result[name]) for name in members) == total - fair


@given(groups(same_topics=True))
def test_each_topic_is_spread_when_nobody_had_anything(group: Group) -> None:
    members, partitions = group
    fresh = {name: Member(member.topics) for name, member in members.items()}
    result = assign(fresh, partitions)
    for topic in partitions:
        counts = [sum(tp.topic == topic for tp in tps) for tps in result.values()]
        assert max(counts) - min(counts) <= 1
