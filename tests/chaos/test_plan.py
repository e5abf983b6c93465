"""The plan of a run: a function of its seed, with everything that was asked for, and nothing undone before it is done."""

import pytest
from chaos.plan import DETECT, INGEST, JOINED, KINDS, SPARE, SPLIT, Counts, make_plan

ALL = Counts(kills=20, zombies=5, broker_kills=3, cuts=2, disks_full=1, redis_gone=1, rolls=2)


def test_the_same_seed_is_the_same_plan() -> None:
    assert make_plan(ALL, 7) == make_plan(ALL, 7)
    assert make_plan(ALL, 7) != make_plan(ALL, 8)


def test_every_kind_of_fault_comes_as_often_as_asked_for() -> None:
    kinds = [step.kind for step in make_plan(ALL, 7)]

    assert {kind: kinds.count(kind) for kind in KINDS} == {
        "kill": 20,
        "zombie": 5,
        "broker kill": 3,
        "side silent": 2,
        "side reset": 2,
        "broker cut": 2,
        "disk full": 1,
        "redis gone": 1,
        "roll": 2,
        "new rules": 2,
        "one more": 2,
        "one fewer": 2,
        "split": 2,
        "join": 2,
    }


@pytest.mark.parametrize("seed", range(20))
def test_what_is_taken_back_was_done_before(seed: int) -> None:
    kinds = [step.kind for step in make_plan(ALL, seed)]

    assert [kind for kind in kinds if kind in {"one more", "one fewer"}] == ["one more", "one fewer"] * 2
    assert [kind for kind in kinds if kind in {"split", "join"}] == ["split", "join"] * 2


@pytest.mark.parametrize("seed", range(20))
def test_only_workers_that_are_there_are_killed_and_stopped(seed: int) -> None:
    spare_is_there = are_split = False
    for step in make_plan(ALL, seed):
        spare_is_there = step.kind == "one more" or (spare_is_there and step.kind != "one fewer")
        are_split = step.kind == "split" or (are_split and step.kind != "join")
        if step.kind in {"kill", "zombie"}:
            assert step.target != SPARE or spare_is_there
            assert step.target not in SPLIT or are_split
            assert step.target != JOINED or not are_split


@pytest.mark.parametrize("seed", range(20))
def test_workers_of_every_role_are_killed(seed: int) -> None:
    killed = {step.target for step in make_plan(ALL, seed) if step.kind == "kill"}

    assert killed > {*DETECT, *INGEST}
