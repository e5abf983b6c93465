"""A mapping that matches nothing: no fault of any record, and therefore silent unless somebody says so."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import structlog

from streams.routing import SourceRecord
from streams.sources import Source

_FIRST_TOLD: Final = 10
"""Records of which nothing was made; told again each time that there are ten times as many."""
_EXAMPLES: Final = 3
_MOST_SHOWN: Final = 200
_WITHOUT_MATCH: Final = "no_type"

log = structlog.get_logger("churn.ingest")


class MatchWatch:
    """Looks whether the mapping of each source has made anything of its records since the process started.

    Args:
        sources: those without a mapping are not looked at.
    """

    def __init__(self, sources: Iterable[Source]) -> None:
        self._mappings = {source.topic: source.mapping for source in sources if source.mapping is not None}
        """Of the sources that did not match yet."""
        self._records = Counter[str]()

    def saw(self, topic: str, records: Sequence[SourceRecord], events: int, reasons: Mapping[str, int]) -> None:
        """Take in what became of some records: so many events, and dead letters by reason."""
        if topic not in self._mappings:
            return
        if events or any(reason != _WITHOUT_MATCH for reason in reasons):
            del self._mappings[topic]
            return
        told = _FIRST_TOLD
        while told <= self._records[topic]:
            told *= 10
        self._records[topic] += sum(record.value is not None for record in records)
        if self._records[topic] >= told:
            log.warning(
                "ingest.mapping_matches_nothing",
                topic=topic,
                mapping=str(self._mappings[topic]),
                records=self._records[topic],
                examples=[_shown(record) for record in records if record.value is not None][:_EXAMPLES],
                try_it="churnwatch mapping check MAPPING --topic TOPIC",
            )


def _shown(record: SourceRecord) -> str:
    text = (record.value or b"")[:_MOST_SHOWN].decode(errors="replace")
    return f"{record.topic}/{record.partition}/{record.offset} {text}"
