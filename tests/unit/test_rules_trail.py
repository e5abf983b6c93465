"""The audit trail of rule sets: what is known of publications whose documents are compacted away."""

from collections.abc import Sequence

import msgspec
from aiokafka.structs import ConsumerRecord

from schemas.codec import encode
from schemas.control import RulesPublished, Tick
from schemas.rules import RuleSet
from streams.rules_file import parse_rules
from streams.rules_trail import HEADER, KEY, MOST_PUBLICATIONS, Publication, Trail, digest_of, trail_in

TEXT = """\
version: '{version}'
tenant: shop
rules:
  - {{id: silent, kind: absence, version: '{rule}', of: [order.placed], for: {length}}}
  - {{id: burst, kind: count, of: [ticket.opened], at_least: {least}, within: P30D}}
"""


def rule_set(version: str = "1", rule: str = "a", length: str = "P90D", least: int = 3) -> RuleSet:
    return parse_rules(TEXT.format(version=version, rule=rule, length=length, least=least).encode())


def record(offset: int, value: bytes, headers: Sequence[tuple[str, bytes]] = (), key: bytes = KEY) -> ConsumerRecord:
    return ConsumerRecord("control", 0, offset, 0, 0, key, value, None, len(key), len(value), tuple(headers))


def published(*documents: RuleSet) -> list[ConsumerRecord]:
    """Records as `rules publish` writes them, at the offsets 10, 20, ..."""
    records: list[ConsumerRecord] = []
    for number, document in enumerate(documents, start=1):
        value = encode(RulesPublished(at_ms=number, version=document.version, revision=0, by="lena", document=document))
        records.append(record(10 * number, value, [trail_in(records).header()]))
    return records


def test_before_the_first_publication_nothing_is_in_force() -> None:
    assert trail_in([]) == Trail()
    assert trail_in([record(0, encode(Tick(at_ms=1)), key=b"model/risk")]).in_force is None


def test_the_last_document_is_in_force_and_all_before_are_known() -> None:
    first, second = rule_set("1"), rule_set("2", length="P60D", rule="b")
    trail = trail_in(published(first, second))
    assert trail.in_force is not None
    assert trail.in_force[1] == second
    assert [(one.revision, one.version, one.at_ms, one.by) for one in trail.publications] == [
        (10, "1", 1, "lena"),
        (20, "2", 2, "lena"),
    ]
    assert trail.publications[0].digest == digest_of(first)


def test_compaction_takes_the_documents_and_leaves_the_trail() -> None:
    records = published(rule_set("1"), rule_set("2", least=4), rule_set("1"))
    whole, compacted = trail_in(records), trail_in(records[-1:])
    assert compacted.publications == whole.publications
    assert compacted.in_force == whole.in_force
    assert [document for _, document in compacted.documents] == [rule_set("1")]
    assert compacted.document_of(compacted.publications[0]) is None


def test_other_content_of_a_version_is_found_even_after_compaction() -> None:
    trail = trail_in(published(rule_set("1"), rule_set("2"))[-1:])
    changed = rule_set("1", least=4)
    found = trail.with_version("1", digest_of(changed))
    assert found is not None
    assert found.revision == 10
    assert trail.with_version("1", digest_of(rule_set("1"))) is None
    assert trail.with_version("3", digest_of(rule_set("3"))) is None


def test_other_content_of_a_rule_under_its_own_version_is_found_even_after_compaction() -> None:
    trail = trail_in(published(rule_set("1", rule="a"), rule_set("2", rule="b", length="P60D"))[-1:])
    same, changed, raised = (
        rule_set("3", rule="a"),
        rule_set("3", rule="a", length="P60D"),
        rule_set("3", rule="c", length="P60D"),
    )
    assert [trail.with_rule(rule) for rule in same.rules] == [None, None]
    assert [one and one.revision for one in map(trail.with_rule, changed.rules)] == [10, None]
    assert [trail.with_rule(rule) for rule in raised.rules] == [None, None]


def test_a_rule_may_not_take_a_documents_version_for_its_own_with_other_content() -> None:
    trail = trail_in(published(rule_set("1", rule="1", length="P90D")))  # written out, or left out: the same rule
    found = trail.with_rule(rule_set("2", rule="1", length="P60D").rules[0])
    assert found is not None
    assert found.revision == 10


def test_a_rule_without_a_version_of_its_own_changes_with_the_document() -> None:
    trail = trail_in(published(rule_set("1", least=3)))
    assert [trail.with_rule(rule) for rule in rule_set("2", least=4).rules] == [None, None]


def test_records_without_a_trail_or_with_a_strange_one_or_none_at_all_do_not_hinder() -> None:
    (plain,) = published(rule_set("1"))
    stripped = record(1, plain.value, [])
    strange = record(2, plain.value, [(HEADER, b"{"), ("other", b"")])
    unreadable = record(3, b"{", [])
    trail = trail_in([stripped, strange, unreadable])
    assert [one.revision for one in trail.publications] == [1, 2]
    assert trail.in_force is not None
    assert trail.in_force[0].revision == 2


def test_the_header_is_bounded() -> None:
    one = Publication(revision=1, version="1", at_ms=1, by="lena", digest="0" * 16)
    many = tuple(msgspec.structs.replace(one, revision=number) for number in range(MOST_PUBLICATIONS + 5))
    name, value = Trail(many).header()
    kept = msgspec.json.decode(value, type=list[Publication])
    assert (name, len(kept), kept[-1].revision) == (HEADER, MOST_PUBLICATIONS, MOST_PUBLICATIONS + 4)
    assert len(value) < 200_000
