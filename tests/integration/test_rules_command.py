"""Rules from a file into `churn.control`, on a broker."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from aiokafka.structs import ConsumerRecord, TopicPartition

from schemas.codec import decode_record
from schemas.control import RulesPublished
from schemas.rules import RuleSet
from streams.rules_command import PublishRefused, RulesNotFound, check, diff_in_force, publish, show
from streams.rules_file import RulesFileError, load_rules
from streams.rules_trail import KEY
from streams.settings import Settings, load_settings
from streams.topic_tail import read_to_end, reader
from streams.topics import ensure_topics

pytestmark = pytest.mark.kafka

TEXT = """\
version: {version}
tenant: shop
rules:
  - {{id: silent, kind: absence, of: [order.placed], for: {length}}}
  - {{id: burst, kind: count, of: [ticket.opened, login.succeeded], at_least: 3, within: P30D, mode: shadow}}
  - {{id: anytime, kind: absence, of: [order.placed], for: P1Y, needs: []}}
"""


@pytest.fixture
def settings(bootstrap: str, unique: Callable[[str], str]) -> Settings:
    made = load_settings(bootstrap=bootstrap, prefix=unique("rules") + ".", partitions=1)
    ensure_topics(made, sources=[])
    return made


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    def write(version: str = "1.0.0", length: str = "P90D") -> Path:
        path = tmp_path / "rules.yaml"
        path.write_text(TEXT.format(version=version, length=length), encoding="utf-8")
        return path

    return write


async def documents(settings: Settings) -> list[ConsumerRecord]:
    async with reader(settings) as consumer:
        return await read_to_end(consumer, TopicPartition(settings.topic("control"), 0))


def published_in(record: ConsumerRecord) -> RulesPublished:
    found = decode_record(record.value or b"")
    assert isinstance(found, RulesPublished)
    return found


def test_a_check_shows_the_rules_and_the_feeds_they_need(file: Callable[..., Path]) -> None:
    path = file()
    assert check(path) == (
        f"{path}: version 1.0.0 of shop, 3 rules\n"
        "  silent   absence  needs orders\n"
        "  burst    count    needs logins, tickets (shadow)\n"
        "  anytime  absence  needs no feed"
    )


def test_a_check_of_a_broken_file_tells_its_faults(file: Callable[..., Path]) -> None:
    with pytest.raises(RulesFileError, match=r"line 4: rules\[silent\]\.for: '90' is not a duration"):
        check(file(length="90"))


async def test_a_file_is_published_with_its_offset_as_revision(settings: Settings, file: Callable[..., Path]) -> None:
    path = file()
    said = await publishing(path, settings)
    assert said == "published version 1.0.0 as revision 0"
    (record,) = await documents(settings)
    published = published_in(record)
    assert (record.key, record.offset) == (KEY, 0)
    assert (published.version, published.revision, published.by) == ("1.0.0", 0, "lena")
    assert published.document == load_rules(path)


async def test_the_same_content_is_published_once(settings: Settings, file: Callable[..., Path]) -> None:
    await publishing(file(), settings)
    assert await publishing(file(), settings) == "version 1.0.0 is in force already, as revision 0; nothing was published"
    assert len(await documents(settings)) == 1


async def test_other_content_under_a_published_version_is_refused(settings: Settings, file: Callable[..., Path]) -> None:
    await publishing(file(), settings)
    with pytest.raises(
        PublishRefused, match=r"version 1\.0\.0 was published .* revision 0, .*; it differs in rule silent\. Raise"
    ):
        await publishing(file(length="P60D"), settings)
    assert len(await documents(settings)) == 1


async def test_an_earlier_version_may_come_back_but_not_changed(settings: Settings, file: Callable[..., Path]) -> None:
    await publishing(file("1.0.0", "P90D"), settings)
    await publishing(file("1.1.0", "P60D"), settings)
    assert await publishing(file("1.0.0", "P90D"), settings) == "published version 1.0.0 as revision 2"
    with pytest.raises(PublishRefused, match=r"version 1\.1\.0 was published with other content, as revision 1"):
        await publishing(file("1.1.0", "P61D"), settings)


async def test_a_broken_file_leaves_what_is_in_force(settings: Settings, file: Callable[..., Path]) -> None:
    await publishing(file(), settings)
    with pytest.raises(RulesFileError):
        await publishing(file("1.1.0", "soon"), settings)
    assert [published_in(record).version for record in await documents(settings)] == ["1.0.0"]


async def test_without_the_topic_nothing_is_published_and_no_topic_appears(
    bootstrap: str, unique: Callable[[str], str], file: Callable[..., Path]
) -> None:
    settings = load_settings(bootstrap=bootstrap, prefix=unique("none") + ".")
    for _ in range(2):
        with pytest.raises(PublishRefused, match=r"control does not exist: `churnwatch topics` creates it"):
            await publishing(file(), settings)


VERSIONED = """\
version: {version}
tenant: shop
rules: [{{id: silent, kind: absence, version: {rule}, of: [order.placed], for: {length}}}]
"""


async def test_other_content_under_a_published_version_of_a_rule_is_refused(settings: Settings, tmp_path: Path) -> None:
    def file(version: str, rule: str, length: str) -> Path:
        path = tmp_path / "rules.yaml"
        path.write_text(VERSIONED.format(version=version, rule=rule, length=length), encoding="utf-8")
        return path

    await publishing(file("1", "a", "P90D"), settings)
    await publishing(file("2", "b", "P60D"), settings)
    with pytest.raises(PublishRefused, match=r"rule silent@a: in version 1, revision 0, .*\nRaise the `version` of each"):
        await publishing(file("3", "a", "P60D"), settings)
    assert await publishing(file("3", "a", "P90D"), settings) == "published version 3 as revision 2"
    assert len(await documents(settings)) == 3


async def test_what_is_in_force_is_shown_with_who_published_it_and_what_was_before(
    settings: Settings, file: Callable[..., Path]
) -> None:
    with pytest.raises(RulesNotFound, match="no rules are published: `churnwatch rules publish FILE`"):
        await asyncio.to_thread(show, settings)
    await publishing(file("1.0.0", "P90D"), settings)
    await publishing(file("1.1.0", "P60D"), settings)
    found = await asyncio.to_thread(show, settings)
    lines = str(found).splitlines()
    assert lines[0].startswith("in force since revision 1, ")
    assert lines[0].endswith(", by lena: version 1.1.0 of shop, 3 rules")
    assert [line.split()[0] for line in lines[-2:]] == ["1.0.0", "1.1.0"]
    plain = found.as_json()
    assert (plain["version"], plain["revision"], plain["by"]) == ("1.1.0", 1, "lena")
    assert msgspec.convert(plain["document"], RuleSet) == load_rules(file("1.1.0", "P60D"))
    assert [one["version"] for one in plain["history"]] == ["1.0.0", "1.1.0"]


async def test_a_file_is_compared_with_what_is_in_force(settings: Settings, file: Callable[..., Path]) -> None:
    with pytest.raises(RulesNotFound):
        await asyncio.to_thread(diff_in_force, file(), settings)
    await publishing(file("1.0.0", "P90D"), settings)
    assert not (await asyncio.to_thread(diff_in_force, file("1.0.0", "P90D"), settings)).changes
    path = file("1.1.0", "P60D")
    assert str(await asyncio.to_thread(diff_in_force, path, settings)) == (
        f"from version 1.0.0 in force to {path}:\n~ version: 1.0.0 -> 1.1.0\n~ rule silent\n    for: P90D -> P60D"
    )


async def publishing(path: Path, settings: Settings) -> str:
    """Publish as the command does, which runs a loop of its own."""
    return str(await asyncio.to_thread(publish, path, settings, "lena"))
