"""Which rule sets were published, when and by whom: the audit trail in `churn.control`.

The topic is compacted, so in the end only the last document is there. Each record therefore carries, in a header, what
is to be known of all publications before it: versions, who, when, and digests of the contents.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiokafka.structs import ConsumerRecord

from schemas.codec import decode_record, encode
from schemas.control import RulesPublished
from schemas.errors import ContractError
from schemas.instants import format_instant
from schemas.rule_kinds import RuleBase
from schemas.rules import RuleSet

KEY: Final = b"rules"
"""Of the one rule set in `churn.control`."""
HEADER: Final = "churn-rules-trail"
MOST_PUBLICATIONS: Final = 1_000
"""So many are remembered; a header has to fit into a record."""
_DIGEST_CHARS: Final = 16


class Publication(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule set that was put in force."""

    revision: int
    """Its offset in `churn.control`."""
    version: str
    at_ms: int
    by: str | None = None
    digest: str
    rules: dict[str, str] = {}
    """Digests of the rules that have versions of their own, by `id@version`; of the others the document's digest says it."""

    def __str__(self) -> str:
        return f"revision {self.revision}, {format_instant(self.at_ms)}, by {self.by or 'unknown'}"


@dataclass(frozen=True, slots=True)
class Trail:
    """The publications, from the first on; the last is in force."""

    publications: tuple[Publication, ...] = ()
    documents: tuple[tuple[Publication, RuleSet], ...] = ()
    """Those whose content the topic still has, in the same order."""

    @property
    def in_force(self) -> tuple[Publication, RuleSet] | None:
        """The last one; None before the first."""
        return self.documents[-1] if self.documents else None

    def header(self) -> tuple[str, bytes]:
        """What the next record carries along."""
        return HEADER, msgspec.json.encode(self.publications[-MOST_PUBLICATIONS:])

    def with_version(self, version: str, digest: str) -> Publication | None:
        """A publication that gave the version another content."""
        return next((one for one in self.publications if one.version == version and one.digest != digest), None)

    def with_rule(self, rule: RuleBase) -> Publication | None:
        """A publication that gave a rule's version another content."""
        name, digest = rule_name(rule), digest_of(rule)
        of_its_own = next((one for one in self.publications if one.rules.get(name, digest) != digest), None)
        same = ((one, other) for one, document in self.documents for other in document.rules if rule_name(other) == name)
        return of_its_own or next((one for one, other in same if other != rule), None)

    def document_of(self, publication: Publication) -> RuleSet | None:
        """The content of a publication, if the topic still has it."""
        return next((document for one, document in self.documents if one.revision == publication.revision), None)


def trail_in(records: Iterable[ConsumerRecord]) -> Trail:
    """What the records of `churn.control` say; those that another release wrote and this one cannot read are left out."""
    known: dict[int, Publication] = {}
    documents: list[tuple[Publication, RuleSet]] = []
    for record in records:
        published = _published_in(record) if record.key == KEY else None
        if published is None:
            continue
        known |= {one.revision: one for one in _carried(record)}
        own = _publication(record, published)
        known[own.revision] = own
        documents.append((own, published.document))
    return Trail(tuple(known[revision] for revision in sorted(known)), tuple(documents))


def digest_of(content: msgspec.Struct) -> str:
    """Of a rule set or a rule: the same for the same content, in every process."""
    return hashlib.sha256(encode(content)).hexdigest()[:_DIGEST_CHARS]


def rule_name(rule: RuleBase) -> str:
    """As alerts name it."""
    return f"{rule.id}@{rule.version}"


def _publication(record: ConsumerRecord, published: RulesPublished) -> Publication:
    document = published.document
    return Publication(
        revision=record.offset,
        version=document.version,
        at_ms=published.at_ms,
        by=published.by,
        digest=digest_of(document),
        rules={rule_name(rule): digest_of(rule) for rule in document.rules if rule.version != document.version},
    )


def _carried(record: ConsumerRecord) -> list[Publication]:
    headers: dict[str, Any] = dict(record.headers or ())
    try:
        return msgspec.json.decode(headers.get(HEADER, b"[]"), type=list[Publication])
    except msgspec.DecodeError:  # what another tool wrote says nothing
        return []


def _published_in(record: ConsumerRecord) -> RulesPublished | None:
    try:
        found = decode_record(record.value or b"")
    except ContractError:
        return None
    return found if isinstance(found, RulesPublished) else None
