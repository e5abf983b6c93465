"""Events of a ticket and what an `sla` rule says of them; times are those of a wall clock in Shanghai."""

from itertools import count
from typing import Any

from engine_run import EngineRun, rule_set, tick

from schemas.calendars import CalendarDocument
from schemas.codec import Record
from schemas.events import TicketClosed, TicketOpened, TicketReopened, TicketReplied, TicketResolved, TicketUpdated
from schemas.instants import DAY_MS, format_instant, parse_instant
from schemas.rule_kinds import SlaRule, SlaTarget
from schemas.rules import RuleSet

_ids = count()
OFFICE = CalendarDocument(
    time_zone="Asia/Shanghai",
    weekly={day: ["09:00-12:00", "13:30-18:00"] for day in ("mon", "tue", "wed", "thu", "fri")},
    holidays=["2026-02-17", "2026-02-18"],
    make_up=["2026-02-14"],
    expanded_until=2026,
)
BERLIN = CalendarDocument(time_zone="Europe/Berlin", weekly={day: ["00:00-24:00"] for day in ("sat", "sun", "mon")})
NEW_YORK = CalendarDocument(
    time_zone="America/New_York", weekly={day: ["09:00-17:00"] for day in ("mon", "tue", "wed", "thu", "fri")}
)


def ticket(kind: Any, at: str, name: str = "T1", **fields: Any) -> Record:
    """Something that happens to a ticket; the time is of Shanghai unless it says otherwise."""
    at_ms = parse_instant(at if at.endswith("Z") else f"{at}:00+08:00")
    record: Record = kind(id=f"e{next(_ids)}", customer_id="ann", at_ms=at_ms, ticket_id=name, **fields)
    return record


def opened(at: str, **fields: Any) -> Record:
    """The ticket begins."""
    return ticket(TicketOpened, at, **fields)


def answered(at: str, **fields: Any) -> Record:
    """An agent writes."""
    return ticket(TicketReplied, at, **{"by": "agent", **fields})


def asked(at: str, **fields: Any) -> Record:
    """The customer writes."""
    return ticket(TicketReplied, at, **{"by": "customer", **fields})


def updated(at: str, **fields: Any) -> Record:
    """Something about it changes."""
    return ticket(TicketUpdated, at, **fields)


def resolved(at: str) -> Record:
    """It is solved."""
    return ticket(TicketResolved, at)


def closed(at: str) -> Record:
    """It is closed."""
    return ticket(TicketClosed, at)


def reopened(at: str) -> Record:
    """It is open again."""
    return ticket(TicketReopened, at)


def clock_at(at: str) -> Record:
    """The clock of all feeds."""
    return tick(parse_instant(f"{at}:00+08:00") / DAY_MS)


def sla(*targets: SlaTarget, clock: Any = "first_response", **fields: Any) -> RuleSet:
    """One rule, with calendars to choose from."""
    rule = SlaRule(**{"id": "sla", "version": "1", "clock": clock, "targets": list(targets), **fields})
    return rule_set(rule, calendars={"office": OFFICE, "berlin": BERLIN, "new-york": NEW_YORK})


def told(rules: RuleSet, *records: Record) -> list[str]:
    """Transitions as `state[fraction] local time`."""
    return told_of(EngineRun(rules).feed(*records))


def told_of(run: EngineRun) -> list[str]:
    """The same of a run."""
    alerts = run.alerts
    return [f"{alert.state}{alert.fraction or ''} {format_instant(alert.at_ms + 8 * 3_600_000)[:16]}" for alert in alerts]
