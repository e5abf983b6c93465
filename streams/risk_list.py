"""`churnwatch risk list`: whom to call today, why, and what to do."""

import asyncio
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from detectors.features import in_words
from schemas.decisions import AlertRecord
from schemas.instants import format_instant
from schemas.rule_kinds import Severity
from streams.columns import in_columns
from streams.redis_terms import redis_terms
from streams.risk_sources import Known, ReadModelUnfit, from_redis, from_topics
from streams.settings import Settings
from streams.topics import partition_count
from streams.words import Words

_NUMBERS: Final = ("probability", "value", "at_stake")
_WHO: Final = ("place", "customer_id", "owner", "tier", "stage", "band")
COLUMNS: Final = (*_WHO, *_NUMBERS, "open_alerts", "reason", "next_action", "as_of")
_BEGINS_A_FORMULA: Final = "=+-@\t\r"
_BY_URGENCY: Final[tuple[Severity, ...]] = ("critical", "high", "warning", "info")

log = structlog.get_logger("churn.risk")


class RisksNotFound(LookupError):  # noqa: N818 - what became of the search
    """There is no topic of risks; the message says what creates it."""


@dataclass(frozen=True)
class AtRisk:
    """One line of the list."""

    place: int
    """From 1."""
    known: Known

    @property
    def at_stake(self) -> float | None:
        """Probability times yearly value, in currency units; None where one of them is not known."""
        risk = self.known.risk
        if risk.probability is None or risk.value is None:
            return None
        return risk.probability * max(0.0, risk.value)

    @property
    def _urgent(self) -> Sequence[AlertRecord]:
        """The open alerts, the most severe first, then the oldest."""
        return sorted(self.known.alerts, key=lambda alert: (_BY_URGENCY.index(alert.severity), alert.due_ms, alert.alert_id))

    @property
    def reason(self) -> str | None:
        """What raises the probability most, in words; without a model why the most urgent alert is open."""
        risk = self.known.risk
        if risk.reasons:
            return in_words(risk.reasons[0].feature, {**risk.features, risk.reasons[0].feature: risk.reasons[0].value})
        return Words().because_of(self._urgent[0]) if self._urgent else None

    @property
    def next_action(self) -> str | None:
        """Of the most urgent alert that has one."""
        return next((alert.next_action for alert in self._urgent if alert.next_action is not None), None)

    def as_json(self) -> dict[str, Any]:
        """For machines, by the names of `COLUMNS`; what is not known is null."""
        risk = self.known.risk
        return {
            "place": self.place,
            "customer_id": risk.customer_id,
            "owner": risk.owner,
            "tier": risk.tier,
            "stage": self.known.stage,
            "band": risk.band,
            "probability": risk.probability,
            "value": risk.value,
            "at_stake": self.at_stake,
            "open_alerts": len(self.known.alerts),
            "reason": self.reason,
            "next_action": self.next_action,
            "as_of": format_instant(risk.at_ms),
        }

    def cells(self) -> list[str]:
        """The same for people."""
        risk = self.known.risk
        row = self.as_json() | {
            "probability": None if risk.probability is None else f"{risk.probability:.3f}",
            "value": None if risk.value is None else f"{risk.value:.2f}",
            "at_stake": None if self.at_stake is None else f"{self.at_stake:.2f}",
        }
        return ["" if row[name] is None else str(row[name]) for name in COLUMNS]


def risk_list(settings: Settings, *, top: int, owner: str | None) -> list[AtRisk]:
    """The customers with the most at stake, most first (`sinks.ranking`): from Redis where it can be had, else from the topics.

    Args:
        settings: broker, topics, and Redis if there is one.
        top: most customers.
        owner: only those of this owner, as `customer.updated` said last; None: all.

    Raises:
        RisksNotFound: the topic does not exist.
        SettingsError: the password for Redis cannot be read.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    if partition_count(settings, settings.topic("risk")) is None:
        raise RisksNotFound(f"the topic {settings.topic('risk')} does not exist: `churnwatch topics` creates it")
    return [AtRisk(place, known) for place, known in enumerate(asyncio.run(_found(settings, top, owner)), 1)]


async def _found(settings: Settings, top: int, owner: str | None) -> list[Known]:
    if settings.redis_url:
        try:
            return await from_redis(settings, redis_terms(settings), top, owner)
        except ReadModelUnfit as unfit:
            log.warning("risk.read_from_topics", reason=str(unfit))
    return await from_topics(settings, top, owner)


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


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell[:1] in _BEGINS_A_FORMULA and cell and not _is_number(cell) else cell


def _is_number(cell: str) -> bool:
    return cell[1:].replace(".", "", 1).isdecimal()
