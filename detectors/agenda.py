"""Which clocks wake a customer under a rule set, and which of them anything may have moved."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from detectors.alert_life import AlertLife
from detectors.kinds import Kind
from detectors.rules_compiled import CompiledRules
from detectors.standing import Standing
from detectors.state import Customer
from detectors.timers import Feeds, Timers, clock_key
from schemas.events import AnyEvent
from schemas.instants import MAX_INSTANT_MS

ANY_FEED: Final[Feeds] = ()
"""The clock of what needs no feed in particular: the greatest mark."""


class Agenda:
    """The rules of a rule set by the clock that they live by.

    A rule changes its mind at an event of its types, or when its own clock wakes it; so only those clocks are set anew.
    Alerts live by the clock of their rule; those that are over are forgotten by the greatest mark.
    """

    def __init__(self, rules: CompiledRules, standing: Standing, life: AlertLife) -> None:
        self._standing = standing
        self._life = life
        always = standing.clocks
        self._kinds: dict[Feeds, list[Kind]] = {feeds: [] for feeds in [*always, ANY_FEED]}
        for kind in rules.kinds:
            self._kinds.setdefault(kind.feeds, []).append(kind)
        self._by_id = rules.by_id
        self._keys = {feeds: clock_key(feeds) for feeds in self._kinds}
        self._by_key = {key: feeds for feeds, key in self._keys.items()}
        self._hurried = {
            name: [(kind.wake_ms, kind.feeds, self._keys[kind.feeds]) for kind in kinds]
            for name, kinds in rules.by_type.items()
        }

    @property
    def all(self) -> tuple[Feeds, ...]:
        """Every clock."""
        return tuple(self._kinds)

    def due(self, customer: Customer, feeds: Feeds, due_ms: int) -> Iterator[Kind]:
        """The rules that want to be asked at an instant of a clock, in the order of the rule set."""
        return (kind for kind in self._kinds[feeds] if kind.wake_ms(customer) == due_ms)

    def awake(self, customer: Customer, feeds: Feeds, due_ms: int) -> list[Kind]:
        """The rules of a clock with alerts to which something happens by itself at an instant."""
        woken = {rule_id for rule_id, wake_ms in self._life.wakes(customer) if wake_ms <= due_ms}
        return [kind for kind in self._kinds[feeds] if kind.rule.id in woken] if woken else []

    def hurry(self, timers: Timers, customer: Customer, event: AnyEvent) -> bool:
        """After an event: bring nearer what the rules that saw it want nearer; whether anything was.

        A wake-up that could come later stays where it is: there will be nothing to decide then, and it is set anew. Most
        customers act often, and are waited for long: so they are woken once a wait, not set anew at each event.
        """
        found, wakes = False, customer.wakes
        for wake_ms, feeds, key in self._hurried.get(event.type, ()):
            due_ms = wake_ms(customer)
            if due_ms is not None and wakes.get(key, MAX_INSTANT_MS) > due_ms:
                wakes[key] = due_ms
                timers.arm(customer.id, feeds, due_ms)
                found = True
        for feeds, due_ms in self._standing.hurried(customer, event):
            if due_ms is not None and wakes.get(self._keys[feeds], MAX_INSTANT_MS) > due_ms:
                wakes[self._keys[feeds]] = due_ms
                timers.arm(customer.id, feeds, due_ms)
                found = True
        return found

    def arm(self, timers: Timers, customer: Customer, clocks: Iterable[Feeds]) -> None:
        """Set the customer's wake-ups by these clocks."""
        lives = [(self._by_id[rule_id].feeds, ms) for rule_id, ms in self._life.wakes(customer) if rule_id in self._by_id]
        for feeds in clocks:
            found = [kind.wake_ms(customer) for kind in self._kinds[feeds]]
            found.append(self._standing.wake_ms(customer, feeds))
            found += [wake_ms for of, wake_ms in lives if of == feeds]
            if feeds == ANY_FEED:
                found.append(self._life.past.forget_ms(customer))
            due_ms = min([wake_ms for wake_ms in found if wake_ms is not None], default=None)
            if due_ms is None:
                customer.wakes.pop(self._keys[feeds], None)
            elif customer.wakes.get(self._keys[feeds]) != due_ms:
                customer.wakes[self._keys[feeds]] = due_ms
                timers.arm(customer.id, feeds, due_ms)

    def restore(self, timers: Timers, customer_id: str, wakes: Mapping[int, int]) -> None:
        """Set the wake-ups that a customer's state names."""
        for key, due_ms in wakes.items():
            if (feeds := self._by_key.get(key)) is not None:
                timers.arm(customer_id, feeds, due_ms)
