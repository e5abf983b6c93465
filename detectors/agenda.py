"""Which clocks wake a customer under a rule set, and which of them anything may have moved."""

from collections.abc import Iterable, Iterator

from detectors.kinds import Kind
from detectors.rules_compiled import CompiledRules
from detectors.standing import Standing
from detectors.state import Customer
from detectors.timers import Feeds, Timers


class Agenda:
    """The rules of a rule set by the clock that they live by.

    A rule changes its mind at an event of its types, or when its own clock wakes it; so only those clocks are set anew.
    """

    def __init__(self, rules: CompiledRules, standing: Standing) -> None:
        self._standing = standing
        always = standing.clocks
        self._kinds: dict[Feeds, list[Kind]] = {feeds: [] for feeds in always}
        for kind in rules.kinds:
            self._kinds.setdefault(kind.feeds, []).append(kind)
        self._names = {feeds: ",".join(feeds) for feeds in self._kinds}
        self._always = _unique(always)
        self.of_looks = _unique([*always, *(kind.feeds for kind in standing.score_kinds)])
        self._of_events = {name: _unique([*(kind.feeds for kind in kinds), *always]) for name, kinds in rules.by_type.items()}

    @property
    def all(self) -> tuple[Feeds, ...]:
        """Every clock."""
        return tuple(self._kinds)

    def of_event(self, event_type: str) -> tuple[Feeds, ...]:
        """The clocks that an event of this type may move."""
        return self._of_events.get(event_type, self._always)

    def of_clock(self, feeds: Feeds) -> tuple[Feeds, ...]:
        """The clocks that may move when this one has woken the customer."""
        return _unique([feeds, *self._always])

    def due(self, customer: Customer, feeds: Feeds, due_ms: int) -> Iterator[Kind]:
        """The rules that want to be asked at an instant of a clock, in the order of the rule set."""
        return (kind for kind in self._kinds[feeds] if kind.wake_ms(customer) == due_ms)

    def arm(self, timers: Timers, customer: Customer, clocks: Iterable[Feeds]) -> None:
        """Set the customer's wake-ups by these clocks."""
        for feeds in clocks:
            found = [kind.wake_ms(customer) for kind in self._kinds[feeds]]
            found.append(self._standing.wake_ms(customer, feeds))
            due_ms = min((wake for wake in found if wake is not None), default=None)
            if due_ms is None:
                customer.wakes.pop(self._names[feeds], None)
            else:
                customer.wakes[self._names[feeds]] = due_ms
            timers.arm(customer.id, feeds, due_ms)

    def restore(self, timers: Timers, customer_id: str, wakes: dict[str, int]) -> None:
        """Set the wake-ups that a customer's state names."""
        for feeds, name in self._names.items():
            timers.arm(customer_id, feeds, wakes.get(name))


def _unique(clocks: Iterable[Feeds]) -> tuple[Feeds, ...]:
    return tuple(dict.fromkeys(clocks))
