"""How the records of each source are read: by its mapping, and with the schema registry that its records need."""

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from streams.mapping import MappingError, load_mapping
from streams.record_formats import decoder, with_headers
from streams.routing import SourceRecord, Terms
from streams.row_mapping import RowMapping
from streams.settings import Settings, variable
from streams.sources import Source, SourcesError

if TYPE_CHECKING:
    from streams.schema_registry import Schemas


@dataclass(frozen=True)
class SourceTerms:
    """The terms of every source, by topic."""

    by_topic: dict[str, Terms]
    framed: frozenset[str] = frozenset()
    """Topics whose records name a schema of the registry."""
    schemas: "Schemas | None" = None

    async def prepare(self, records: Iterable[tuple[str, SourceRecord]], go_on: Callable[[], bool]) -> bool:
        """Have every schema at hand that some records name; this waits while the registry does not answer.

        Args:
            records: each with the topic on whose terms it is read.
            go_on: asked while it waits.

        Returns:
            Whether they are; else `go_on` said no.
        """
        if self.schemas is None:
            return True
        return await self.schemas.learn((record.value for topic, record in records if topic in self.framed), go_on)


def load_terms(settings: Settings, sources: Iterable[Source]) -> SourceTerms:
    """The terms of sources.

    Raises:
        SourcesError: a mapping cannot be read or has faults, or its records need a registry that is not named.
    """
    mappings = {source.topic: _mapping(source) for source in sources if source.mapping is not None}
    framed = frozenset(topic for topic, mapping in mappings.items() if mapping.record.framed)
    schemas = _schemas(settings, min(framed)) if framed else None
    plain = {
        source.topic: Terms(
            source=source,
            partitions=settings.partitions,
            max_ahead_ms=settings.max_ahead_ms if settings.clock == "broker" else None,
        )
        for source in sources
    }
    mapped = {topic: with_mapping(plain[topic], mapping, schemas) for topic, mapping in mappings.items()}
    return SourceTerms(plain | mapped, framed, schemas)


def with_mapping(terms: Terms, mapping: RowMapping, schemas: "Schemas | None" = None) -> Terms:
    """The terms of a source whose records are read through a mapping.

    Args:
        terms: without one.
        mapping: of the source.
        schemas: those that its records name, if they do.
    """
    decode = with_headers(decoder(mapping.record, schemas), mapping.columns)
    return replace(terms, translate=mapping.events, decode=decode)


def _mapping(source: Source) -> RowMapping:
    try:
        return load_mapping(source.mapping or "")
    except (MappingError, OSError) as error:
        raise SourcesError(str(error)) from None


def _schemas(settings: Settings, topic: str) -> "Schemas":
    if not settings.schema_registry_url:
        name = variable("schema_registry_url")
        raise SourcesError(f"the mapping of {topic} reads records with a schema: {name} must name the registry")
    try:
        module = importlib.import_module("streams.schema_registry")
    except ImportError as error:
        raise SourcesError(f"the mapping of {topic} needs an extra ({error}): pip install 'churnwatch[registry]'") from None
    found: Schemas = module.Schemas.at(settings.schema_registry_url)
    return found
