"""`sla`: a ticket's clock reaches its target, with warnings on the way."""

from collections.abc import Sequence
from typing import Final

from detectors.kinds import Transition, state_key
from detectors.predicates import event_types
from detectors.sla_clock import Crossing, Episode, SlaClock
from detectors.sla_terms import ClockSpec, Target
from detectors.state import Customer
from detectors.tickets import Moment, SlaTold, Ticket
from schemas.decisions import AlertState, Because, ClearsIf
from schemas.events import AnyEvent, CustomerUpdated, TicketEvent
from schemas.rule_kinds import SlaRule

_TICKET_TYPES: Final = event_types(["ticket.*"])
_ANSWERS: Final = 'event.type != "ticket.replied" || (event.by == "agent" && event.public)'


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
        by_tier = any(target.tier is not None for target in rule.targets)
        self.types = _TICKET_TYPES | {"customer.updated"} if by_tier else _TICKET_TYPES
        self._spec = ClockSpec(rule.clock, rule.until, frozenset(rule.pause_on), tuple(rule.warn_at), tuple(targets))
        self.terms = self._spec.fingerprint
        """Other ones when the rule promises something else."""
        if rule.clock == "resolution":
            of = ["ticket.closed"] if rule.until == "closed" else ["ticket.closed", "ticket.resolved"]
            self._clears_if = ClearsIf(code="event", of=of)
        else:
            of = ["ticket.closed", "ticket.replied", "ticket.resolved"]
            self._clears_if = ClearsIf(code="event", of=of, where=_ANSWERS)

    def leave(self, customer: Customer, now_ms: int | None) -> None:
        """Other promises take over: what was used up to now was measured by these, and stays used."""
        for ticket in customer.tickets.values():
            told = ticket.told.get(self.state_key)
            if told is None or now_ms is None:
                continue
            moments = [moment for moment in ticket.moments if moment.at_ms <= now_ms]
            tiers = [change for change in customer.tiers if change[0] <= now_ms]
            told.carried = SlaClock(self._spec, told.carried).run(moments, tiers).carry_over(now_ms)

    def adopt(self, customer: Customer, now_ms: int | None) -> None:  # noqa: ARG002  (what is due is decided by the timer)
        """Look at every ticket at once: the promises may be others now. Nothing is told: no clock is given."""
        for ticket_id, ticket in customer.tickets.items():
            self._look(customer, ticket_id, ticket, now_ms=None)

    def regret(self, customer: Customer, at_ms: int, because: Because) -> list[Transition]:
        """A gap became known: take back a breach that is none now; it may be one later."""
        found = []
        for ticket_id, ticket in customer.tickets.items():
            told = ticket.told.get(self.state_key)
            if told is None or not told.opened or told.ended_ms is not None:
                continue
            clock = SlaClock(self._spec, told.carried).run(ticket.moments, customer.tiers)
            episode = clock.episodes[_index_of(clock.episodes, told)]
            breach = episode.breach or next((one for one in clock.ahead() if one.fraction == 1.0), None)
            if breach is not None and breach.at_ms <= max(told.due_ms, at_ms):
                continue
            told.opened = False
            found.append(
                Transition(
                    state="retracted",
                    at_ms=at_ms,
                    episode_start_ms=told.start_ms,
                    due_ms=told.due_ms,
                    because=(because,),
                    subject=ticket_id,
                )
            )
        return found

    def on_event(self, customer: Customer, event: AnyEvent, now_ms: int | None) -> list[Transition]:
        """A moment of a ticket was added, or the customer's tier may be another."""
        if isinstance(event, CustomerUpdated):
            tickets = list(customer.tickets)
        else:
            tickets = [event.ticket_id] if isinstance(event, TicketEvent) else []
        return [said for ticket_id in tickets for said in self._look(customer, ticket_id, customer.tickets[ticket_id], now_ms)]

    def wake_ms(self, customer: Customer) -> int | None:
        """The next warning or deadline of any ticket."""
        told = (ticket.told.get(self.state_key) for ticket in customer.tickets.values())
        return min((one.wake_ms for one in told if one is not None and one.wake_ms is not None), default=None)

    def on_due(self, customer: Customer, due_ms: int) -> list[Transition]:
        """Decide every ticket whose instant has come, in the order in which they were heard of."""
        found = []
        for ticket_id, ticket in customer.tickets.items():
            told = ticket.told.get(self.state_key)
            if told is not None and told.wake_ms is not None and told.wake_ms <= due_ms:
                found += self._look(customer, ticket_id, ticket, due_ms)
        return found

    def _look(self, customer: Customer, ticket_id: str, ticket: Ticket, now_ms: int | None) -> list[Transition]:
        """Say what there is to say, episode by episode, up to the first that is not over yet."""
        told = ticket.told.setdefault(self.state_key, SlaTold())
        told.wake_ms = None
        if self.rule.clock == "next_response":
            told.replies_until_ms = told.replies_until_ms or 0
        clock = SlaClock(self._spec, told.carried).run(ticket.moments, customer.tiers)
        found: list[Transition] = []
        for place in range(_index_of(clock.episodes, told), len(clock.episodes)):
            episode = clock.episodes[place]
            told = ticket.told[self.state_key] = self._told_of(episode, told)
            start_ms = _start_in(episode, told)
            if start_ms is None:
                continue
            if not told.said:
                told.start_ms = start_ms
            crossings = [*episode.warnings, *([episode.breach] if episode.breach is not None else [])]
            if place == len(clock.episodes) - 1:
                crossings += clock.ahead()
            found += self._decide(ticket_id, episode, crossings, told, now_ms)
            told.wake_ms = _next_ms(crossings, told, now_ms)
            if told.ended_ms is None or told.wake_ms is not None:
                break
            if told.replies_until_ms is not None:
                told.replies_until_ms = told.ended_ms
        return found

    def _told_of(self, episode: Episode, told: SlaTold) -> SlaTold:
        """Where it is kept what is told of an episode: anew, when it begins after the one that was told of is over."""
        if told.ended_ms is None or not told.said:
            return told
        fresh = SlaTold(
            passed=[] if self.rule.clock == "next_response" else told.passed,
            since_ms=told.start_ms,
            over_ms=told.ended_ms,
            replies_until_ms=told.replies_until_ms,
            carried=told.carried,
        )
        return told if _start_in(episode, fresh) is None else fresh

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
        if not told.said:
            told.ended_ms = None  # reopened before anything was told: the same episode goes on
        found = []
        for crossing in crossings:
            if now_ms is not None and crossing.at_ms <= now_ms:
                found += self._crossed(ticket_id, episode, crossing, told)
        if end is None or _next_ms(crossings, told, now_ms) is not None:
            return found
        # Over, and nothing is left to cross. An alert that was over, and was breached after all, is closed once more.
        if told.said and (found or not was_over):
            found.append(self._closed("resolved", ticket_id, end, told))
        told.ended_ms = end.at_ms
        return found

    def _crossed(self, ticket_id: str, episode: Episode, crossing: Crossing, told: SlaTold) -> list[Transition]:
        is_breach = crossing.fraction == 1.0
        if told.opened or crossing.fraction in told.passed:
            return []
        if not is_breach:
            told.passed.append(crossing.fraction)
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
            episode_start_ms=told.start_ms,
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
            episode_start_ms=told.start_ms,
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


def _start_in(episode: Episode, told: SlaTold) -> int | None:
    """When the episode began, as it is told; None for one that is behind what was told of before.

    What was told stands: a late event may have moved the start since.
    """
    if told.said:
        return told.start_ms
    if told.since_ms is None or episode.start.at_ms > told.since_ms:
        return episode.start.at_ms
    resumed = (moment.at_ms for moment in episode.resumed)
    return next((at_ms for at_ms in resumed if at_ms >= told.over_ms and at_ms > told.since_ms), None)


def _index_of(episodes: Sequence[Episode], told: SlaTold) -> int:
    """The episode that something was told of last; those before it are final."""
    last_ms = told.start_ms if told.said else told.since_ms
    if last_ms is None:
        return 0
    return max((i for i, episode in enumerate(episodes) if episode.start.at_ms <= last_ms), default=0)


def _whom(target: Target) -> list[Because]:
    meant = target.meant_for
    wanted = {"priority": meant.priority, "tier": meant.tier, "category": meant.category, "team": meant.team}
    return [Because(clause=name, value=value) for name, value in wanted.items() if value is not None]
