"""What is done with a source, by what is recorded of its topic and what the broker has under that name."""

import pytest

from schemas.progress import SourceEpoch
from streams.chunks import Done
from streams.source_gate import _start
from streams.source_states import SourceStates


def states(*recorded: SourceEpoch) -> SourceStates:
    found = SourceStates(["shop", "web"])
    found.learn({epoch.topic: epoch for epoch in recorded})
    return found


def epoch(number: int = 0, topic_id: str = "A", topic: str = "shop") -> SourceEpoch:
    return SourceEpoch(topic=topic, topic_id=topic_id, epoch=number)


def test_a_topic_that_was_never_read_is_new() -> None:
    assert states().judge("shop", "A", 0.0) == "new"


def test_a_topic_is_read_while_it_has_the_recorded_id() -> None:
    assert states(epoch()).judge("shop", "A", 0.0) == "read"


def test_a_topic_with_another_id_is_another_topic_and_is_told_once() -> None:
    found = states(epoch())

    assert found.judge("shop", "B", 1.0) == "another"
    assert found.recreated("shop", "B", 1.0)
    assert not found.recreated("shop", "B", 2.0)
    assert found.pauses["shop"].reason == "recreated"
    assert found.pauses["shop"].since_s == 1.0
    assert "its id is B, and epoch 0 of this source is A" in found.pauses["shop"].says
    assert "churnwatch sources reset shop" in found.pauses["shop"].says


def test_a_reset_that_names_the_new_id_lets_it_be_read() -> None:
    found = states(epoch())
    found.recreated("shop", "B", 1.0)

    found.learn({"shop": epoch(1, "B")})

    assert found.judge("shop", "B", 2.0) == "read"
    assert found.pauses == {}


def test_a_topic_that_was_made_again_once_more_since_the_reset_is_another_one_again() -> None:
    found = states(epoch())
    found.recreated("shop", "B", 1.0)
    found.learn({"shop": epoch(1, "B")})

    assert found.judge("shop", "C", 2.0) == "another"


def test_a_topic_is_missing_when_it_was_not_found_three_times_in_a_row() -> None:
    found = states(epoch())
    for topic_id in (None, None, "A", None, None):
        found.judge("shop", topic_id, 0.0)
        assert found.pauses == {}

    assert found.judge("shop", None, 5.0) == "gone"

    assert found.pauses["shop"].reason == "missing"
    assert found.judge("shop", "A", 6.0) == "read"
    assert found.pauses == {}


def test_a_topic_that_cannot_be_read_stays_paused_until_it_is_another_one() -> None:
    found = states(epoch())
    assert found.pause("shop", "poison", "most of it cannot be read", 1.0)
    assert not found.pause("shop", "poison", "again", 2.0)

    assert found.judge("shop", "A", 3.0) == "paused"
    found.learn({"shop": epoch(0, "A")})
    assert found.judge("shop", "A", 4.0) == "paused"
    found.learn({"shop": epoch(1, "B")})
    assert found.judge("shop", "B", 5.0) == "read"


def test_a_source_that_waits_for_a_schema_registry_goes_on_only_when_it_is_told_so() -> None:
    found = states(epoch())
    assert found.pause("shop", "registry", "the registry does not answer", 1.0)
    assert found.judge("shop", "A", 2.0) == "paused"


def test_what_is_recorded_of_topics_that_are_no_sources_is_nothing_to_us() -> None:
    assert states(epoch(topic="other")).epochs == {}


@pytest.mark.parametrize(
    ("committed", "offset"),
    [
        (None, 0),
        (Done(7, "B"), 7),
        (Done(500, "A"), 0),
        (Done(500, ""), 0),
    ],
    ids=["nothing committed", "of this topic", "of the topic before", "of a release without ids"],
)
def test_after_a_reset_only_an_offset_of_this_very_topic_is_gone_on_from(committed: Done | None, offset: int) -> None:
    assert _start(epoch(1, "B"), committed) == offset


def test_in_the_first_epoch_an_offset_without_an_id_is_believed() -> None:
    assert _start(epoch(0, "A"), Done(500, "")) == 500
