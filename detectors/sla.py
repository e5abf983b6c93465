"""`sla`: a ticket's clock reaches its target, with warnings on the way."""

from collections.abc import Sequence
from typing import Final

from detectors.kinds import Transition, state_key
from detectors.predicates import event_types
from detectors.sla_clock import ClockSpec, Crossing, Episode, SlaClock, Target
from detectors.state import Customer
from detectors.tickets import Moment, SlaTold
from schemas.decisions import AlertState, Because, ClearsIf
from schemas.events import AnyEvent, CustomerUpdated, TicketEvent
from schemas.rule_kinds import SlaRule

_TICKET_TYPES: Final = event_types(["ticket.*"])


class SlaKind:
    """One `sla` rule: an alert for each episode of a ticket's clock.

    Args:
        rule: valid.
        feeds: whose marks make its now.
        targets: the rule's, with their calendars.
    """

    def __init__(self, rule: SlaRule, feeds: tuple[str, ...], targets: Sequence[Target]) -> None:
        self.rule = rule
        self.feeds = feeds
        self.state_key = state_key(rule, rule.clock, rule.until)
        self.types = _TICKET_TYPES | {"customer.updated"}
        self._spec = ClockSpec(rule.clock, rule.until, frozenset(rule.pause_on), tuple(rule.warn_at), tuple(targets))
        waits_for = ["ticket.closed"] if rule.until == "closed" else ["ticket.closed", "ticket.resolved"]
        of = ["ticket.closed", "ticket.replied", "ticket.resolved"] if rule.clock == "first_response" else waits_for
        self._clears_if = ClearsIf(code="event", of=of)

    def adopt(self, customer: Customer, now_ms: int | None) -> None:  # noqa: ARG002  (what is due is decided by the timer)
        """Look at every ticket at once: the targets may be others now. Nothing is told: no clock is given."""
        for ticket_id in customer.tickets:
            self._look(customer, ticket_id, now_ms=None)

    def on_event(self, customer: Customer, event: AnyEvent, now_ms: int | None) -> list[Transition]:
        """A moment of a ticket was added, or the customer's tier may be another."""
        if isinstance(event, CustomerUpdated):
            tickets = list(customer.tickets)
        else:
            tickets = [event.ticket_id] if isinstance(event, TicketEvent) else []
        return [said for ticket_id in tickets for said in self._look(customer, ticket_id, now_ms)]

    def wake_ms(self, customer: Customer) -> int | None:
        """The next warning or deadline of any ticket."""
        told = (ticket.told.get(self.state_key) for ticket in customer.tickets.values())
        return min((one.wake_ms for one in told if one is not None and one.wake_ms is not None), default=None)

    def on_due(self, customer: Customer, due_ms: int, now_ms: int) -> list[Transition]:
        """Decide every ticket whose instant has come, in the order in which they were heard of."""
        found = []
        for ticket_id, ticket in list(customer.tickets.items()):
            told = ticket.told.get(self.state_key)
            if told is not None and told.wake_ms is not None and told.wake_ms <= due_ms:
                found += self._look(customer, ticket_id, now_ms)
        return found

    def _look(self, customer: Customer, ticket_id: str, now_ms: int | None) -> list[Transition]:
        """Say what there is to say, episode by episode, up to the first that is not over yet."""
        ticket = customer.tickets[ticket_id]
        told = ticket.told.setdefault(self.state_key, SlaTold())
        clock = SlaClock(self._spec, ticket.tier).run(ticket.moments)
        found: list[Transition] = []
        for place in range(_index_of(clock.episodes, told), len(clock.episodes)):
            episode = clock.episodes[place]
            begins_ms = _begins_anew(episode, told)
            if begins_ms is not None:
                told = ticket.told[self.state_key] = SlaTold(start_ms=begins_ms, passed=told.passed)
            crossings = [*episode.warnings, *([episode.breach] if episode.breach is not None else [])]
            if place == len(clock.episodes) - 1:
                crossings += clock.ahead()
            found += self._decide(ticket_id, episode, crossings, told, now_ms)
            told.wake_ms = _next_ms(crossings, told, now_ms)
            if told.ended_ms is None or told.wake_ms is not None:
                break
        return found

    def _decide(
        self, ticket_id: str, episode: Episode, crossings: list[Crossing], told: SlaTold, now_ms: int | None
    ) -> list[Transition]:
        end = episode.end
        if told.retracted:
            return []
        if told.opened and end is not None and end.at_ms < told.due_ms and episode.breach is None:
            told.retracted, told.ended_ms = True, end.at_ms
            return [self._closed("retracted", ticket_id, end, told)]
        was_over = told.ended_ms is not None
        if not (told.warned or told.opened):
            told.ended_ms = None  # reopened before anything was told: the same episode goes on
        found = []
        for crossing in crossings:
            if now_ms is not None and crossing.at_ms <= now_ms:
                found += self._crossed(ticket_id, episode, crossing, told)
        if end is None or _next_ms(crossings, told, now_ms) is not None:
            return found
        # Over, and nothing is left to cross. An alert that was over, and was breached after all, is closed once more.
        if (told.warned or told.opened) and (found or not was_over):
            found.append(self._closed("resolved", ticket_id, end, told))
        told.ended_ms = end.at_ms
        return found

    def _crossed(self, ticket_id: str, episode: Episode, crossing: Crossing, told: SlaTold) -> list[Transition]:
        is_breach = crossing.fraction == 1.0
        if told.opened or (not is_breach and crossing.fraction in told.passed):
            return []
        if not is_breach:
            told.passed.append(crossing.fraction)
        told.start_ms = episode.start.at_ms if told.start_ms is None else told.start_ms
        told.due_ms = crossing.due_ms
        told.opened |= is_breach
        told.warned |= not is_breach
        return [self._said(ticket_id, episode, crossing, told)]

    def _said(self, ticket_id: str, episode: Episode, crossing: Crossing, told: SlaTold) -> Transition:
        is_breach = crossing.fraction == 1.0
        target = crossing.target
        past = not target.calendar.covers(crossing.at_ms)
        return Transition(
            state="opened" if is_breach else "warned",
            at_ms=crossing.at_ms,
            episode_start_ms=told.start_ms or 0,
            due_ms=told.due_ms,
            because=(
                Because(clause=f"{self.rule.clock}_ms", value=crossing.consumed_ms, threshold=crossing.target_ms),
                *_whom(target),
            ),
            evidence=(episode.start.occurrence.evidence(),),
            clears_if=self._clears_if,
            subject=ticket_id,
            fraction=None if is_breach else crossing.fraction,
            notes=("calendar_past_published_year",) if past else (),
            calendar=target.calendar_version,
        )

    def _closed(self, state: AlertState, ticket_id: str, end: Moment, told: SlaTold) -> Transition:
        return Transition(
            state=state,
            at_ms=end.at_ms,
            episode_start_ms=told.start_ms or 0,
            due_ms=told.due_ms,
            evidence=(end.occurrence.evidence(),),
            subject=ticket_id,
        )


def _next_ms(crossings: Sequence[Crossing], told: SlaTold, now_ms: int | None) -> int | None:
    """The first crossing that the clock has not passed and that may still have to be told."""
    if told.opened:
        return None
    left = (one.at_ms for one in crossings if one.fraction not in told.passed and (now_ms is None or one.at_ms > now_ms))
    return min(left, default=None)


def _begins_anew(episode: Episode, told: SlaTold) -> int | None:
    """When another alert begins, after the one that was told is over; None while it is the same."""
    if told.ended_ms is None or told.start_ms is None:
        return None
    if episode.start.at_ms > told.start_ms:
        return episode.start.at_ms
    resumed = episode.resumed
    if resumed is not None and resumed.at_ms >= told.ended_ms and resumed.at_ms > told.start_ms:
        return resumed.at_ms
    return None


def _index_of(episodes: Sequence[Episode], told: SlaTold) -> int:
    """The episode that something was told of: a late event may have moved its start, and what was told stands."""
    if told.start_ms is None:
        return 0
    return max((i for i, episode in enumerate(episodes) if episode.start.at_ms <= told.start_ms), default=0)


def _whom(target: Target) -> list[Because]:
    meant = target.meant_for
    wanted = {"priority": meant.priority, "tier": meant.tier, "category": meant.category, "team": meant.team}
    return [Because(clause=name, value=value) for name, value in wanted.items() if value is not None]
