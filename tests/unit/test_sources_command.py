"""What `sources list` shows, and what `sources reset` decides."""

from pathlib import Path

import pytest

from schemas.progress import SourceEpoch
from streams.sources_command import SourceSeen, _next, as_table
from streams.topic_ids import FoundTopic

README = Path(__file__).parents[2] / "README.md"
OLD, NEW, WEB = "7Gy4mBbSQ8eV0bXoqXJAxw", "q1b2Zk0MTiq2vYp7hGd3tA", "3nN5lJw1Q9mX2oVbC8rD0g"
READ = SourceEpoch(topic="shop", topic_id=OLD, epoch=2)


def seen(recorded: str | None, found: str | None, *, paused: str | None = None) -> SourceSeen:
    return SourceSeen("shop", "orders", 0, recorded, found, 4, None, paused)


def test_the_table_is_the_one_that_the_readme_shows() -> None:
    table = as_table(
        [
            SourceSeen("shop.orders", "orders", 0, OLD, NEW, 4, None, paused=None),
            SourceSeen("web.logins", "logins", 0, WEB, WEB, 4, 0, paused=None),
        ]
    )

    assert f"$ churnwatch sources list\n{table}\n" in README.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("source", "state"),
    [
        (seen(OLD, OLD), "read"),
        (seen(OLD, OLD, paused="poison"), "poison"),
        (seen(OLD, OLD, paused="registry"), "registry"),
        (seen(OLD, NEW), "recreated"),
        (seen(OLD, NEW, paused="poison"), "recreated"),
        (seen(OLD, None), "missing"),
        (seen(None, NEW), "new"),
    ],
)
def test_a_source_is_read_or_there_is_a_word_for_why_not(source: SourceSeen, state: str) -> None:
    assert source.state == state


def test_a_reset_begins_the_next_epoch_with_the_topic_that_there_is() -> None:
    decided = _next("shop", FoundTopic(NEW, 4), READ, None, "lena")

    assert decided == SourceEpoch(topic="shop", topic_id=NEW, epoch=3, by="lena")


@pytest.mark.parametrize(
    ("found", "known", "epoch", "says"),
    [
        (None, READ, None, "the topic shop does not exist"),
        (FoundTopic(NEW, 4), None, None, "nothing was read of shop yet: there is nothing to reset"),
        (FoundTopic(OLD, 4), READ, None, f"shop is what it was, {OLD}, read under epoch 2: there is nothing to reset"),
        (FoundTopic(OLD, 4), READ, 7, f"shop is what it was, {OLD}, read under epoch 2: there is nothing to reset"),
        (FoundTopic(NEW, 4), READ, 2, "shop has epoch 2 already: only a greater one can follow"),
    ],
)
def test_what_cannot_be_reset_is_refused_in_words(
    found: FoundTopic | None, known: SourceEpoch | None, epoch: int | None, says: str
) -> None:
    assert _next("shop", found, known, epoch, "lena") == says


def test_a_number_that_was_kept_elsewhere_is_taken_over() -> None:
    decided = _next("shop", FoundTopic(OLD, 4), None, 2, "lena")

    assert decided == SourceEpoch(topic="shop", topic_id=OLD, epoch=2, by="lena")
