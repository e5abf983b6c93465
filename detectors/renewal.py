"""`renewal`: a contract's renewal date comes near, and what is known of the customer gives reason to worry."""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Final, Literal

from detectors.contracts import Contract, ContractEvent, RenewalSaid, RenewalWalk, Term
from detectors.features import seen_at
from detectors.kinds import Transition, state_key
from detectors.occurrence import Occurrence
from detectors.predicates import Predicate, event_types
from detectors.state import Customer
from schemas.decisions import Because, ClearsIf
from schemas.events import AnyEvent
from schemas.instants import DAY_MS, exact_ms
from schemas.rule_kinds import RenewalRule

_ENDING: Final = ["contract.cancelled", "contract.renewed"]

Seen = Callable[[], Mapping[str, float]]


class RenewalKind:
    """One `renewal` rule: an episode for each renewal date of each contract.

    Looks are taken at `before` ahead of the date and every 24 h from then on, until the date; and at the event that sets a
    date already so near. A look at an instant sees what came strictly before it, so an event at that instant comes after
    the look. Looks wait for the clock; an event that ends an open episode ends it at once, unless a look comes first.

    Args:
        rule: valid.
        feeds: whose marks make its now.

    Raises:
        ContractError: a duration or predicate that is none, or a duration of months.
    """

    def __init__(self, rule: RenewalRule, feeds: tuple[str, ...]) -> None:
        self.rule = rule
        self.feeds = feeds
        self.types = event_types(["contract.*"])
        self.state_key = state_key(rule)
        self._before_ms = exact_ms(rule.before)
        self._where = Predicate(rule.where) if rule.where is not None else None

    def adopt(self, customer: Customer, now_ms: int | None) -> None:
        """Start with the contracts as they stand: they are remembered whatever the rules, but no look is made up for."""
        from_ms = now_ms
        if now_ms is not None and self.rule.enabled_from_ms is not None:
            from_ms = min(now_ms, self.rule.enabled_from_ms)
        for contract in customer.contracts.values():
            walk = contract.walks.get(self.state_key)
            if walk is not None:
                walk.looked_ms = max(walk.looked_ms, -1 if now_ms is None else now_ms - 1)
            else:
                walked = bisect_left(contract.terms, from_ms, key=_at_ms) if from_ms is not None else 0
                contract.walks[self.state_key] = RenewalWalk(walked, -1 if from_ms is None else from_ms - 1)

    def on_event(self, customer: Customer, event: AnyEvent, now_ms: int | None) -> list[Transition]:
        """An event of a contract, which is among its terms already."""
        if not isinstance(event, ContractEvent):
            return []
        contract = customer.contracts[event.contract_id]
        walk = contract.walks.setdefault(self.state_key, RenewalWalk())
        arrived = Occurrence.of(event)
        behind = next((place for place, term in enumerate(contract.terms[: walk.walked]) if term.occurrence == arrived), None)
        found = self._overtaken(event.contract_id, contract, walk, behind) if behind is not None else []
        return found + self._pass_terms(event.contract_id, contract, walk, now_ms)

    def wake_ms(self, customer: Customer) -> int | None:
        """The next look, or the next event that the clock has to pass, at any contract."""
        wakes = [
            self._next_ms(contract, contract.walks[self.state_key])
            for contract in customer.contracts.values()
            if self.state_key in contract.walks
        ]
        return min((wake_ms for wake_ms in wakes if wake_ms is not None), default=None)

    def on_due(self, customer: Customer, due_ms: int) -> list[Transition]:
        """Decide all contracts up to the instant, in the order in which they were heard of."""
        found: list[Transition] = []
        for contract_id, contract in customer.contracts.items():
            if (walk := contract.walks.get(self.state_key)) is not None:
                found += self._walk_to(customer, contract_id, walk, due_ms)
        return found

    # -- the walk along one contract

    def _walk_to(self, customer: Customer, contract_id: str, walk: RenewalWalk, due_ms: int) -> list[Transition]:
        contract = customer.contracts[contract_id]
        found = self._pass_terms(contract_id, contract, walk, due_ms)
        while (look_ms := self._look_ms(contract, walk)) is not None and look_ms <= due_ms:
            found += self._look(contract_id, contract, walk, look_ms, seen_at(customer.features, look_ms))
            found += self._pass_terms(contract_id, contract, walk, due_ms)
        return found

    def _pass_terms(self, contract_id: str, contract: Contract, walk: RenewalWalk, now_ms: int | None) -> list[Transition]:
        """Whatever comes before the next look, as far as the clock has come, or an open episode ends."""
        found: list[Transition] = []
        while (term := _term_ahead(contract, walk)) is not None:
            look_ms = self._look_ms(contract, walk)
            is_reached = now_ms is not None and term.at_ms <= now_ms
            if (look_ms is not None and look_ms <= term.at_ms) or not (is_reached or _ends(walk.said, term)):
                break
            found += self._pass(contract_id, contract, walk, term)
        return found

    def _next_ms(self, contract: Contract, walk: RenewalWalk) -> int | None:
        term, look_ms = _term_ahead(contract, walk), self._look_ms(contract, walk)
        if term is None:
            return look_ms
        return term.at_ms if look_ms is None else min(term.at_ms, look_ms)

    def _look_ms(self, contract: Contract, walk: RenewalWalk) -> int | None:
        """The next look under the terms in force; while an episode is open, its end is one."""
        term = contract.terms[walk.walked - 1] if walk.walked else None
        if term is None or term.renews_at_ms is None:
            return None
        is_open = walk.said is not None and not walk.said.closed
        if is_open and self._where is None:
            return term.renews_at_ms
        first_ms = term.renews_at_ms - self._before_ms
        next_ms = first_ms + max(0, (walk.looked_ms - first_ms) // DAY_MS + 1) * DAY_MS
        if walk.looked_ms < term.at_ms and term.at_ms >= first_ms:  # set inside the window
            next_ms = min(next_ms, term.at_ms)
        if next_ms < term.renews_at_ms:
            return next_ms
        return term.renews_at_ms if is_open else None

    def _look(self, contract_id: str, contract: Contract, walk: RenewalWalk, at_ms: int, seen: Seen) -> list[Transition]:
        walk.looked_ms = at_ms
        term = contract.terms[walk.walked - 1]
        renews_at_ms = term.renews_at_ms or 0
        holds = self._where is None or self._where.holds(None, seen)
        said = walk.said
        if said is not None and not said.closed:
            if at_ms < renews_at_ms and holds is not False:  # unknown is no reason to believe that it is over
                return []
            said.closed = True
            because = self._because(renews_at_ms, at_ms, seen)
            return [_closed("resolved" if at_ms < renews_at_ms else "expired", contract_id, at_ms, said, because=because)]
        if holds is not True:
            return []
        walk.said = RenewalSaid(renews_at_ms, at_ms)
        return [
            Transition(
                state="opened",
                at_ms=at_ms,
                episode_start_ms=renews_at_ms,
                due_ms=at_ms,
                because=self._because(renews_at_ms, at_ms, seen),
                evidence=(term.occurrence.evidence(),),
                clears_if=ClearsIf(code="event", of=_ENDING, at_ms=renews_at_ms),
                subject=contract_id,
            )
        ]

    def _pass(self, contract_id: str, contract: Contract, walk: RenewalWalk, term: Term) -> list[Transition]:
        """Other terms from here on; late ones are passed once they are here."""
        before_ms = contract.terms[walk.walked - 1].renews_at_ms if walk.walked else None
        walk.walked += 1
        # Another date is looked at from its event on; one that is only said again changes nothing.
        walk.looked_ms = term.at_ms - 1 if term.renews_at_ms != before_ms else max(walk.looked_ms, term.at_ms)
        said = walk.said
        if said is None or said.retracted:
            return []
        if term.at_ms < said.due_ms:  # late
            return [] if _was_meant(contract, said) else [_retracted(contract_id, said, term)]
        if not _ends(said, term):
            return []
        said.closed = True
        return [_closed("resolved", contract_id, term.at_ms, said, by=term)]

    def _overtaken(self, contract_id: str, contract: Contract, walk: RenewalWalk, place: int) -> list[Transition]:
        """A late event that others have followed: it matters if an alert would not have opened."""
        said, term = walk.said, contract.terms[place]
        if said is None or said.retracted or _was_meant(contract, said):
            return []
        if not said.closed:  # what followed it may open another one
            walk.walked = place
        return [_retracted(contract_id, said, term)]

    def _because(self, renews_at_ms: int, at_ms: int, seen: Seen) -> tuple[Because, ...]:
        near = Because(clause="renews_in_ms", value=renews_at_ms - at_ms, threshold=self.rule.before)
        named = sorted(self._where.features) if self._where is not None else []
        return (near, *(Because(clause=name, value=seen()[name]) for name in named if name in seen()))


def _at_ms(term: Term) -> int:
    return term.at_ms


def _term_ahead(contract: Contract, walk: RenewalWalk) -> Term | None:
    return contract.terms[walk.walked] if walk.walked < len(contract.terms) else None


def _ends(said: RenewalSaid | None, term: Term) -> bool:
    """Whether an episode is open and these terms end it: renewed, cancelled, or another date."""
    return said is not None and not said.closed and (term.renewed or term.renews_at_ms != said.renews_at_ms)


def _was_meant(contract: Contract, said: RenewalSaid) -> bool:
    """Whether the date was in force when its alert opened, as far as terms are remembered."""
    place = bisect_left(contract.terms, said.due_ms, key=_at_ms)
    set_then = any(term.at_ms == said.due_ms and term.renews_at_ms == said.renews_at_ms for term in contract.terms[place:])
    return set_then or place == 0 or contract.terms[place - 1].renews_at_ms == said.renews_at_ms


def _retracted(contract_id: str, said: RenewalSaid, term: Term) -> Transition:
    said.closed, said.retracted = True, True
    return _closed("retracted", contract_id, term.at_ms, said, by=term)


def _closed(
    state: Literal["resolved", "retracted", "expired"],
    contract_id: str,
    at_ms: int,
    said: RenewalSaid,
    *,
    because: tuple[Because, ...] = (),
    by: Term | None = None,
) -> Transition:
    return Transition(
        state=state,
        at_ms=at_ms,
        episode_start_ms=said.renews_at_ms,
        due_ms=said.due_ms,
        because=because,
        evidence=(by.occurrence.evidence(),) if by is not None else (),
        subject=contract_id,
    )
