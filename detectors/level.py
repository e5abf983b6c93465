"""`level`: the value of the latest event is beyond a limit.

The rule follows the values in the order of time, at the same instant in the order of the log. It opens at the event
whose value is beyond the limit and closes at the one that is back beyond the clear limit; what lies between leaves it
as it is. Both are told at once, without waiting for the clock.

An event that arrives after later ones is put in its place, and what follows from there is told: one that is low between
two that are high opens at its own instant and closes at the next high one, both at once; a high one between two low
ones closes, and the next low one opens another episode. What was told stands: an event before the latest crossing
changes nothing, even if an episode began earlier than was told, or ended earlier. In order of time, and whenever
events arrive after the latest crossing that was told, the order of arrival makes no difference.
"""

from bisect import bisect_right
from typing import Final, Literal

from detectors.features import seen_at
from detectors.kinds import Transition, state_key
from detectors.level_state import Level, Point
from detectors.occurrence import Occurrence
from detectors.predicates import Predicate, Value, event_types
from detectors.state import Customer
from schemas.decisions import Because, ClearsIf
from schemas.errors import ContractError
from schemas.events import AnyEvent
from schemas.rule_kinds import LevelRule

MAX_LATER: Final = 4
"""So many values are kept that lie after the latest crossing; beyond it the earliest becomes final."""


class LevelKind:
    """One `level` rule. It needs no clock of its own.

    Args:
        rule: valid.
        feeds: whose marks make its now.

    Raises:
        ContractError: a predicate or value that is none, or not exactly one of `below` and `above`.
    """

    def __init__(self, rule: LevelRule, feeds: tuple[str, ...]) -> None:
        self.rule = rule
        self.feeds = feeds
        self.types = event_types(rule.of)
        self._where = Predicate(rule.where) if rule.where is not None else None
        self._value = Value(rule.value)
        # Above a limit is below it with the signs turned.
        if rule.below is not None and rule.above is None:
            self._sign, self._limit, clear = 1.0, rule.below, rule.clear_above
        elif rule.above is not None and rule.below is None:
            self._sign, self._limit, clear = -1.0, rule.above, rule.clear_below
        else:
            raise ContractError("bad_document", "a `level` rule has either `below` or `above`")
        self._clear, self._clears_at_limit = (self._limit, True) if clear is None else (clear, False)
        self.state_key = state_key(rule, rule.of, rule.where, rule.value, self._sign)

    def adopt(self, customer: Customer, now_ms: int | None) -> None:
        """Nothing: values are only known from here on. Limits that have moved judge the next event."""

    def on_event(self, customer: Customer, event: AnyEvent, now_ms: int | None) -> list[Transition]:  # noqa: ARG002
        """Take in a value; an unknown predicate or value is no match."""
        features = seen_at(customer.features, event.at_ms)
        if self._where is not None and self._where.holds(event, features) is not True:
            return []
        value = self._value.of(event, features)
        if value is None or not (self._is_beyond(value) or self._is_clear(value)):
            return []
        level = customer.levels.setdefault(self.state_key, Level())
        if level.final_ms is not None and event.at_ms < level.final_ms:
            return []
        place = bisect_right(level.later, event.at_ms, key=lambda point: point.occurrence.at_ms)
        level.later.insert(place, Point(Occurrence.of(event), value))
        return self._follow(level, place)

    def wake_ms(self, customer: Customer) -> int | None:  # noqa: ARG002  (the protocol's)
        """Never: nothing happens by time alone."""
        return None

    def on_due(self, customer: Customer, due_ms: int) -> list[Transition]:  # noqa: ARG002
        """Nothing, since nothing is ever due."""
        return []

    def _follow(self, level: Level, place: int) -> list[Transition]:
        """Every crossing from a point on."""
        found: list[Transition] = []
        while place < len(level.later):
            point = level.later[place]
            if not (self._is_beyond(point.value) if level.episode_ms is None else self._is_clear(point.value)):
                place += 1
                continue
            found.append(self._crossed(level, point))
            del level.later[: place + 1]
            place = 0
        while len(level.later) > MAX_LATER:
            level.final_ms = level.later.pop(0).occurrence.at_ms
        return found

    def _crossed(self, level: Level, point: Point) -> Transition:
        at_ms = point.occurrence.at_ms
        if level.episode_ms is None:
            level.episode_ms = level.final_ms = at_ms
            return self._transition("opened", point, at_ms, self._limit, self._clears_if())
        episode_ms, level.episode_ms, level.final_ms = level.episode_ms, None, at_ms
        return self._transition("resolved", point, episode_ms, self._clear, None)

    def _transition(
        self, state: Literal["opened", "resolved"], point: Point, episode_ms: int, threshold: float, clears_if: ClearsIf | None
    ) -> Transition:
        return Transition(
            state=state,
            at_ms=point.occurrence.at_ms,
            episode_start_ms=episode_ms,
            due_ms=episode_ms,
            because=(Because(clause="value", value=point.value, threshold=threshold),),
            evidence=(point.occurrence.evidence(),),
            clears_if=clears_if,
        )

    def _clears_if(self) -> ClearsIf:
        of, where = sorted(self.types), self.rule.where
        if self.rule.below is not None:
            return ClearsIf(code="value_above", of=of, where=where, above=self._clear)
        return ClearsIf(code="value_below", of=of, where=where, below=self._clear)

    def _is_beyond(self, value: float) -> bool:
        return self._sign * value < self._sign * self._limit

    def _is_clear(self, value: float) -> bool:
        if self._clears_at_limit:
            return not self._is_beyond(value)
        return self._sign * value > self._sign * self._clear
