"""For each rule of a rule pack a small story that makes it fire: one customer, who has an open alert of it at `END_MS`."""

from collections.abc import Iterator

import msgspec
from standing_run import model

from schemas.control import ModelPublished, Tick
from schemas.events import AnyEvent
from schemas.instants import DAY_MS, HOUR_MS, Months, exact_ms, parse_duration, parse_instant
from schemas.rule_kinds import (
    AbsenceRule,
    AllRule,
    AnyRule,
    CountRule,
    DeclineRule,
    LevelRule,
    RenewalRule,
    RhythmRule,
    Rule,
    ScoreRule,
    ShareRule,
    SlaRule,
)
from schemas.rules import RuleSet

END_MS = parse_instant("2026-06-01T12:00:00Z")
KNOWN_SINCE_MS = END_MS - 450 * DAY_MS
"""Longer than any window of a pack: every rule has seen all that it looks at."""
WHILE_ACTIVE_MS = END_MS - 40 * DAY_MS
_NEEDED_FIELDS: dict[str, dict[str, object]] = {
    "order.placed": {"amount": 50_000.0},
    "survey.answered": {"survey": "csat", "score": 1.0, "scale_max": 10.0},
    "ticket.opened": {"category": "complaint"},
    "usage.recorded": {"outcome": "error"},
    "progress.recorded": {"item": "course", "done": 0.5},
    "contract.set": {"renews_at_ms": END_MS + 300 * DAY_MS},
}
"""As bad as can be: whatever a rule's predicate asks for."""


def event(kind: str, at_ms: int, number: int = 0, **fields: object) -> AnyEvent:
    """An event of a type; ids are made of its type, time and number."""
    name = f"{kind}-{at_ms}-{number}"
    ids = dict.fromkeys(("order_id", "ticket_id", "contact_id", "contract_id", "campaign_id"), name)
    needed = {"feature": f"f{number}", **ids, **_NEEDED_FIELDS.get(kind, {}), **fields}
    plain = {"type": kind, "id": name, "customer_id": "ann", "at_ms": at_ms, **needed}
    found: AnyEvent = msgspec.convert(plain, AnyEvent)
    return found


def story(rule: Rule, rules: RuleSet) -> list[AnyEvent]:
    """What happens to the customer, in order."""
    happened = [event("customer.updated", KNOWN_SINCE_MS, tier=_tier(rule, rules)), *_reason(rule, rules)]
    return sorted(happened, key=lambda one: one.at_ms)


def with_ticks(happened: list[AnyEvent]) -> Iterator[AnyEvent | Tick]:
    """The same with a tick each day, the last at `END_MS`."""
    waiting = list(happened)
    for at_ms in range(KNOWN_SINCE_MS, END_MS + 1, DAY_MS):
        while waiting and waiting[0].at_ms < at_ms:
            yield waiting.pop(0)
        yield Tick(at_ms=at_ms)


def with_a_model(happened: list[AnyEvent], rules: RuleSet) -> Iterator[AnyEvent | Tick | ModelPublished]:
    """The same, and three weeks before the end a model that expects the worst of everybody."""
    assert rules.churn is not None
    published = model(horizon_days=exact_ms(rules.churn.horizon) // DAY_MS)
    certain = msgspec.structs.replace(published.document, intercept=99.0)
    for record in with_ticks(happened):
        if record == Tick(at_ms=END_MS - 21 * DAY_MS):
            yield msgspec.structs.replace(published, document=certain)
        yield record


def _tier(rule: Rule, rules: RuleSet) -> str:
    tiers = [tier for part in _parts(rule, rules) for tier in part.tiers or []]
    return tiers[0] if tiers else "standard"


def _parts(rule: Rule, rules: RuleSet) -> list[Rule]:
    """A rule, and those it is made of."""
    if not isinstance(rule, AllRule | AnyRule):
        return [rule]
    return [rule, *(part for name in rule.rules for part in _parts(_rule(name, rules), rules))]


def _rule(name: str, rules: RuleSet) -> Rule:
    return next(rule for rule in rules.rules if rule.id == name)


def _reason(rule: Rule, rules: RuleSet) -> list[AnyEvent]:  # noqa: PLR0911 - one line for each kind of rule
    match rule:
        case AbsenceRule():
            return [*_activity(rule, rules), *_silence(rule)]
        case RhythmRule():
            return _broken_rhythm(rule)
        case SlaRule():
            return _unanswered_tickets(rule)
        case CountRule():
            return [event(rule.of[0], END_MS - 2 * DAY_MS, i) for i in range(rule.at_least)]
        case ShareRule():
            ago_ms = DAY_MS * 3 + (exact_ms(rule.for_) if rule.for_ is not None else 0)
            return [event(rule.of[0], END_MS - ago_ms, i) for i in range(rule.among)]
        case LevelRule():
            return [event(rule.of[0], WHILE_ACTIVE_MS, survey="nps" if "nps" in (rule.where or "") else "csat")]
        case DeclineRule():
            return _change(rule)
        case RenewalRule():
            renews_at_ms = END_MS + exact_ms(rule.before) - 2 * DAY_MS
            return [event("contract.set", END_MS - 100 * DAY_MS, renews_at_ms=renews_at_ms)]
        case ScoreRule():
            return _activity(rule, rules)
        case AllRule():
            return [happened for name in rule.rules for happened in _reason(_rule(name, rules), rules)]
        case AnyRule():
            return _reason(_rule(rule.rules[-1], rules), rules)


def _activity(rule: Rule, rules: RuleSet) -> list[AnyEvent]:
    """What makes the customer an active one, where the rule asks for that."""
    if rules.churn is None or (rule.stages is None and not isinstance(rule, ScoreRule)):
        return []
    if isinstance(rule, AbsenceRule) and not rule.after and rules.churn.of[0] in rule.of:
        return []  # what it waits for is the activity: its own beginning has to do
    return [event(rules.churn.of[0], WHILE_ACTIVE_MS - i * DAY_MS) for i in range(2)]


def _silence(rule: AbsenceRule) -> list[AnyEvent]:
    if rule.for_ is None or rule.calendar is not None:
        length_ms = 14 * DAY_MS
    else:
        length = parse_duration(rule.for_)
        length_ms = length.months * 31 * DAY_MS if isinstance(length, Months) else length.ms
    begins = (rule.after or rule.of)[0]
    start_ms = END_MS - length_ms - DAY_MS
    return [event(begins, start_ms - i * DAY_MS) for i in range(rule.min_count or 1)]


def _broken_rhythm(rule: RhythmRule) -> list[AnyEvent]:
    gap_ms = 7 * DAY_MS
    least_ms = 0 if rule.min_gap is None else exact_ms(rule.min_gap)
    last_ms = END_MS - max(least_ms, round(rule.times * gap_ms)) - 2 * DAY_MS
    return [event(rule.of[0], last_ms - i * gap_ms) for i in range(rule.min_count + 1)]


def _unanswered_tickets(rule: SlaRule) -> list[AnyEvent]:
    """A ticket for each target that does not ask for a tier, opened three weeks ago; the customer wrote again."""
    opened_ms = END_MS - 21 * DAY_MS
    found: list[AnyEvent] = []
    for i, target in enumerate(rule.targets):
        if target.tier is not None:
            continue
        which = {key: value for key in ("priority", "category", "team") if (value := getattr(target, key)) is not None}
        ticket = event("ticket.opened", opened_ms, i, **which)
        found.append(ticket)
        for j, by in enumerate(("agent", "customer") if rule.clock == "next_response" else ()):
            asked_ms = opened_ms + (j + 1) * HOUR_MS
            found.append(event("ticket.replied", asked_ms, i, ticket_id=ticket.id, by=by))
    return found


def _change(rule: DeclineRule) -> list[AnyEvent]:
    """Twice a day, then nothing; or once a month, then as many in one day as twice a day would be."""
    now_day, recent_days = END_MS // DAY_MS, exact_ms(rule.recent) // DAY_MS
    turn_day = now_day - recent_days
    first_day = turn_day - recent_days - exact_ms(rule.baseline) // DAY_MS  # the baseline is full whenever it opens
    rises = rule.direction == "up"
    step, times = (30, 1) if rises else (1, 2)
    found = [event(rule.of[0], day * DAY_MS, i) for day in range(first_day, turn_day, step) for i in range(times)]
    if rises:
        found += [event(rule.of[0], turn_day * DAY_MS, i) for i in range(2 * recent_days)]
    return found
