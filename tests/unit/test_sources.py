"""Which topics are sources: the default ones, or those of a file; and what is said about a bad file."""

from pathlib import Path

import pytest

from streams.settings import load_settings
from streams.sources import Source, SourcesError, load_sources, read_sources, topics_by_feed


def written(folder: Path, text: str) -> Path:
    path = folder / "sources.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_there_are_three_sources_the_actions_and_what_is_redriven() -> None:
    sources = load_sources(load_settings(prefix="t.", source_prefix="shop."))

    assert sources == (
        Source("shop.orders", "orders"),
        Source("shop.logins", "logins"),
        Source("shop.tickets", "tickets"),
        Source("t.actions", "actions"),
        Source("t.redrive", "redrive"),
    )


def test_a_file_names_topics_feeds_and_mappings_and_the_actions_are_added(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text("x", encoding="utf-8")
    path = written(tmp_path, "sources:\n- {topic: shop, feed: orders, mapping: shop.yaml}\n- {topic: web, feed: logins}\n")

    sources = load_sources(load_settings(prefix="t.", sources=path))

    assert sources == (
        Source("shop", "orders", tmp_path / "shop.yaml"),
        Source("web", "logins"),
        Source("t.actions", "actions"),
        Source("t.redrive", "redrive"),
    )


def test_a_file_may_say_itself_which_feed_the_actions_belong_to(tmp_path: Path) -> None:
    path = written(tmp_path, "sources: [{topic: t.actions, feed: desk}]")

    assert load_sources(load_settings(prefix="t.", sources=path))[0] == Source("t.actions", "desk")


def test_what_is_redriven_belongs_to_no_feed_that_a_file_could_name(tmp_path: Path) -> None:
    with pytest.raises(SourcesError, match=r"leave t\.redrive out"):
        load_sources(load_settings(prefix="t.", sources=written(tmp_path, "sources: [{topic: t.redrive, feed: orders}]")))
    with pytest.raises(SourcesError, match="`feed` is 'redrive', which is the feed of redriven records"):
        read_sources(written(tmp_path, "sources: [{topic: shop, feed: redrive}]"))
    assert topics_by_feed((Source("t.redrive", "redrive"), Source("shop", "orders"))) == {"orders": ("shop",)}


@pytest.mark.parametrize("name", ["events", "progress", "deadletters", "alerts"])
def test_what_churnwatch_writes_is_no_source_of_its_own(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, f"sources: [{{topic: shop, feed: orders}}, {{topic: t.{name}, feed: orders}}]")

    with pytest.raises(SourcesError, match=rf"t\.{name}: what churnwatch writes itself cannot be a source"):
        load_sources(load_settings(prefix="t.", sources=path))
    assert load_sources(load_settings(prefix="u.", sources=path))[1] == Source(f"t.{name}", "orders")


@pytest.mark.parametrize("name", ["my topic", "a/b", "..", "ö", "x" * 250])
def test_a_topic_has_a_name_that_kafka_takes(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourcesError, match=r":1: `topic` is .*: Kafka's names are of letters"):
        read_sources(written(tmp_path, f"sources: [{{topic: '{name}', feed: orders}}]"))


def test_a_feed_has_a_name_that_can_stand_in_a_key(tmp_path: Path) -> None:
    with pytest.raises(SourcesError, match=r"`feed` is '/epoch': a name without `/` is wanted"):
        read_sources(written(tmp_path, "sources: [{topic: shop, feed: /epoch}]"))


def test_every_fault_of_a_file_is_told_with_its_line(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "sources:\n"
        "- {topic: shop, feed: orders}\n"
        "- {topic: shop, feed: orders}\n"
        "- {topic: '', feed: 3, maping: x}\n"
        "- orders\n"
        "- {topic: web, feed: logins, mapping: nowhere.yaml, epoch: 1}\n",
    )

    with pytest.raises(SourcesError) as caught:
        read_sources(path)

    lines = str(caught.value).splitlines()
    assert [line.removeprefix(str(path)).split(": ")[0] for line in lines] == [":3", ":4", ":4", ":4", ":5", ":6", ":6"]
    for line, word in zip(
        lines, ["twice", "maping", "topic", "feed", "an entry is", "sources reset TOPIC --epoch N", "nowhere.yaml"], strict=True
    ):
        assert word in line


@pytest.mark.parametrize("text", ["", "[]", "sources: []", "sources: {topic: a}", "sources: [", "other: 1"])
def test_a_file_without_a_list_of_sources_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SourcesError, match=r"sources\.yaml"):
        read_sources(written(tmp_path, text))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourcesError, match=r"the file of sources, .*nothing\.yaml: No such file"):
        read_sources(tmp_path / "nothing.yaml")


def test_a_feed_may_come_in_several_topics() -> None:
    sources = (Source("a", "orders"), Source("b", "logins"), Source("c", "orders"))

    assert topics_by_feed(sources) == {"orders": ("a", "c"), "logins": ("b",)}


def test_nobody_waits_for_what_people_do() -> None:
    sources = load_sources(load_settings(prefix="t.", source_prefix="shop."))

    assert topics_by_feed(sources) == {"orders": ("shop.orders",), "logins": ("shop.logins",), "tickets": ("shop.tickets",)}
