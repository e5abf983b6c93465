"""`churnwatch risk list`: whom to call today, from `churn.risk`."""

import asyncio
import csv
import heapq
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.structs import ConsumerRecord, TopicPartition

from schemas.codec import decode_decision
from schemas.decisions import RiskRecord
from schemas.errors import ContractError
from schemas.instants import format_instant
from sinks.ranking import rank
from streams.columns import in_columns
from streams.settings import Settings
from streams.topic_tail import read_through, reader
from streams.topics import partition_count

COLUMNS: Final = ("place", "customer_id", "owner", "tier", "band", "probability", "value", "at_stake", "reason", "as_of")
_BEGINS_A_FORMULA: Final = "=+-@\t\r"


class RisksNotFound(LookupError):  # noqa: N818 - what became of the search
    """There is no topic of risks; the message says what creates it."""


@dataclass(frozen=True)
class AtRisk:
    """One line of the list."""

    place: int
    """From 1."""
    risk: RiskRecord

    @property
    def at_stake(self) -> float | None:
        """Probability times yearly value, in currency units; None where one of them is not known."""
        if self.risk.probability is None or self.risk.value is None:
            return None
        return self.risk.probability * max(0.0, self.risk.value)

    def as_json(self) -> dict[str, Any]:
        """For machines, by the names of `COLUMNS`; what is not known is null."""
        risk = self.risk
        return {
            "place": self.place,
            "customer_id": risk.customer_id,
            "owner": risk.owner,
            "tier": risk.tier,
            "band": risk.band,
            "probability": risk.probability,
            "value": risk.value,
            "at_stake": self.at_stake,
            "reason": (risk.reasons[0].about or risk.reasons[0].feature) if risk.reasons else None,
            "as_of": format_instant(risk.at_ms),
        }

    def cells(self) -> list[str]:
        """The same for people."""
        row = self.as_json() | {
            "probability": None if self.risk.probability is None else f"{self.risk.probability:.3f}",
            "value": None if self.risk.value is None else f"{self.risk.value:.2f}",
            "at_stake": None if self.at_stake is None else f"{self.at_stake:.2f}",
        }
        return ["" if row[name] is None else str(row[name]) for name in COLUMNS]


def risk_list(settings: Settings, *, top: int, owner: str | None) -> list[AtRisk]:
    """The customers with the most at stake, most first, in the order of the read model in Redis (`sinks.ranking`).

    Args:
        settings: broker and topics.
        top: most customers.
        owner: only those of this owner; None: all.

    Raises:
        RisksNotFound: the topic does not exist.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    if partition_count(settings, settings.topic("risk")) is None:
        raise RisksNotFound(f"the topic {settings.topic('risk')} does not exist: `churnwatch topics` creates it")
    found = asyncio.run(_read(settings, top, owner))
    return [AtRisk(place, risk) for place, risk in enumerate(found, 1)]


def foremost(risks: Iterable[RiskRecord], top: int, owner: str | None) -> list[RiskRecord]:
    """Of these the ones to be called first; equal ones by their ids."""
    wanted = (risk for risk in risks if owner is None or risk.owner == owner)
    return heapq.nsmallest(top, wanted, key=lambda risk: (-rank(risk), risk.customer_id))


def as_csv(rows: Sequence[AtRisk]) -> str:
    """With a heading. A text that a spreadsheet would run as a formula gets an apostrophe before it.

    Source: OWASP, "CSV Injection".
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_harmless(cell) for cell in row.cells()] for row in rows)
    return out.getvalue()


def as_text(rows: Sequence[AtRisk]) -> str:
    """A table."""
    if not rows:
        return "nobody: no customer has a risk yet, or none of this owner"
    return "\n".join(in_columns([COLUMNS, *(row.cells() for row in rows)]))


async def _read(settings: Settings, top: int, owner: str | None) -> list[RiskRecord]:
    """A customer is in one partition, so that of each only its foremost have to be kept."""
    found: list[RiskRecord] = []
    async with reader(settings) as consumer:
        for number in range(settings.partitions):
            latest: dict[bytes, RiskRecord] = {}
            async for record in read_through(consumer, TopicPartition(settings.topic("risk"), number)):
                _take(latest, record)
            found = foremost([*found, *latest.values()], top, owner)
    return found


def _take(latest: dict[bytes, RiskRecord], record: ConsumerRecord) -> None:
    key = record.key or b""
    if record.value is None:
        latest.pop(key, None)
        return
    try:
        risk = decode_decision(record.value)
    except ContractError:  # deliver puts it aside
        return
    if isinstance(risk, RiskRecord) and (key not in latest or risk.sequence >= latest[key].sequence):
        latest[key] = risk


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell[:1] in _BEGINS_A_FORMULA and cell and not _is_number(cell) else cell


def _is_number(cell: str) -> bool:
    return cell[1:].replace(".", "", 1).isdecimal()
