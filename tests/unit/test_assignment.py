"""The assignor as aiokafka's coordinator calls it: claims travel with the request to join, and old members get along."""

from typing import Any

from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from faust.types import TP

from streams.assignment import StickyAssignor


class Cluster:
    """What aiokafka knows of the topics."""

    def __init__(self, **partitions: int) -> None:
        self._partitions = partitions

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(range(self._partitions[topic])) if topic in self._partitions else None


class Worker:
    """A member, and the generation that its coordinator is in."""

    def __init__(self) -> None:
        self.generation = -1
        self.assignor = StickyAssignor(lambda: self.generation)

    def wish(self) -> ConsumerProtocolMemberMetadata:
        metadata = self.assignor.metadata(frozenset({"log"}))
        return ConsumerProtocolMemberMetadata.decode(metadata.encode())  # as the leader gets it


def rebalance(cluster: Cluster, generation: int, leader: Any, **workers: Worker) -> dict[str, set[TP]]:
    """One generation: all ask to join, the leader assigns, each takes what it was given."""
    given = leader.assign(cluster, {name: worker.wish() for name, worker in workers.items()})
    for name, worker in workers.items():
        worker.generation = generation
        worker.assignor.on_assignment(given[name])
    return {name: {TP(*tp) for tp in given[name].partitions()} for name in workers}


def test_what_a_member_was_given_it_keeps_when_another_joins() -> None:
    a, b, c = Worker(), Worker(), Worker()
    cluster = Cluster(log=6)
    before = rebalance(cluster, 1, a.assignor, a=a, b=b)
    after = rebalance(cluster, 2, b.assignor, a=a, b=b, c=c)
    assert {name: len(tps) for name, tps in after.items()} == {"a": 2, "b": 2, "c": 2}
    assert after["a"] < before["a"]
    assert after["b"] < before["b"]


def test_what_a_member_leaves_behind_is_shared_and_the_rest_stays() -> None:
    a, b, c = Worker(), Worker(), Worker()
    cluster = Cluster(log=6)
    before = rebalance(cluster, 1, a.assignor, a=a, b=b, c=c)
    after = rebalance(cluster, 2, a.assignor, a=a, b=b)
    assert before["a"] < after["a"]
    assert before["b"] < after["b"]


def test_two_groups_in_one_process_know_nothing_of_each_other() -> None:
    a, other = Worker(), Worker()
    rebalance(Cluster(log=2), 1, a.assignor, a=a)
    assert other.wish().user_data == b""


def test_who_slept_through_a_rebalance_does_not_take_its_partitions_back() -> None:
    a, sleeper = Worker(), Worker()
    cluster = Cluster(log=4)
    rebalance(cluster, 1, a.assignor, a=a, sleeper=sleeper)
    alone = rebalance(cluster, 2, a.assignor, a=a)
    after = rebalance(cluster, 3, a.assignor, a=a, sleeper=sleeper)
    assert len(after["sleeper"]) == 2
    #  Both claim what the sleeper had; it was given to `a` in a later generation.
    assert after["a"] == alone["a"] - after["sleeper"]


def test_a_member_of_an_earlier_release_has_no_claim_and_is_given_its_share() -> None:
    a = Worker()
    cluster = Cluster(log=4)
    before = rebalance(cluster, 1, a.assignor, a=a)["a"]
    given = a.assignor.assign(cluster, {"a": a.wish(), "old": RoundRobinPartitionAssignor.metadata(["log"])})
    kept, old = (set(given[name].partitions()) for name in ("a", "old"))
    assert len(old) == 2
    assert kept == before - old


def test_an_earlier_release_may_lead_and_what_it_gives_is_claimed_afterwards() -> None:
    a, b = Worker(), Worker()
    cluster = Cluster(log=4)
    dealt = rebalance(cluster, 1, RoundRobinPartitionAssignor, a=a, b=b)
    assert rebalance(cluster, 2, a.assignor, a=a, b=b) == dealt


def test_both_have_one_name_since_a_group_without_a_common_one_is_refused() -> None:
    assert StickyAssignor.name == RoundRobinPartitionAssignor.name


def test_a_claim_that_cannot_be_read_is_none() -> None:
    a = Worker()
    garbled = [ConsumerProtocolMemberMetadata(0, ["log"], data) for data in (b"\xff", b"\x93\x09\x01\x80", b"\x91\x01")]
    given = a.assignor.assign(Cluster(log=3), {f"m{number}": wish for number, wish in enumerate(garbled)})
    assert [len(assignment.partitions()) for assignment in given.values()] == [1, 1, 1]


def test_a_topic_that_is_not_there_yet_gives_nothing_to_read() -> None:
    a = Worker()
    assert rebalance(Cluster(), 1, a.assignor, a=a) == {"a": set()}
