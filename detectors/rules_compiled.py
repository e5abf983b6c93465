"""A rule set made ready: every rule with its predicates, durations and calendars built once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from detectors.absence import AbsenceKind
from detectors.calendars import AlwaysOpen, BusinessCalendar
from detectors.count import CountKind
from detectors.kinds import Kind
from detectors.predicates import event_types
from detectors.score import ScoreKind
from detectors.sla import SlaKind
from detectors.sla_clock import Target
from schemas.calendars import CalendarDocument
from schemas.errors import ContractError
from schemas.instants import exact_ms
from schemas.rules import AbsenceRule, CountRule, Rule, RuleSet, ScoreRule, SlaRule, SlaTarget


@dataclass(frozen=True, slots=True)
class KnownCalendar:
    """A calendar and the version of the document it came from."""

    calendar: BusinessCalendar
    version: str


class CompiledRules:
    """The rules of one rule set, in its order.

    Args:
        rule_set: validated.
        published: calendars that were published by themselves, by name, with their versions: they go before the
            rule set's own.

    Raises:
        ContractError: a rule that cannot be built; the message begins with its id.
    """

    def __init__(self, rule_set: RuleSet, published: Mapping[str, tuple[str, CalendarDocument]] | None = None) -> None:
        self.rule_set = rule_set
        documents = {name: (rule_set.version, document) for name, document in rule_set.calendars.items()}
        documents |= published or {}
        self.calendars = {
            name: KnownCalendar(BusinessCalendar.from_document(document), version)
            for name, (version, document) in sorted(documents.items())
        }
        self._always_open = AlwaysOpen(rule_set.time_zone)  # one, so that targets on it have their calendar in common
        self.feeds = tuple(sorted(rule_set.feeds))
        self.kinds: tuple[Kind, ...] = tuple(self._compiled(rule) for rule in rule_set.rules)
        self.by_id: dict[str, Kind] = {kind.rule.id: kind for kind in self.kinds}
        names = sorted({name for kind in self.kinds for name in kind.types})
        self.by_type: dict[str, tuple[Kind, ...]] = {
            name: tuple(kind for kind in self.kinds if name in kind.types) for name in names
        }

    def feeds_of(self, rule: Rule, types: frozenset[str]) -> tuple[str, ...]:
        """The feeds whose marks make a rule's now: those it needs, by default those that deliver what it looks at."""
        if rule.needs is not None:
            return tuple(sorted(set(rule.needs)))
        delivering = {self.rule_set.feed_of(name) for name in types}
        return tuple(sorted(feed for feed in delivering if feed is not None))

    def _compiled(self, rule: Rule) -> Kind:
        try:
            return self._built(rule)
        except ContractError as error:
            raise ContractError(error.code, f"rule {rule.id!r}: {error.message}") from None

    def _built(self, rule: Rule) -> Kind:
        match rule:
            case AbsenceRule():
                feeds = self.feeds_of(rule, event_types([*rule.of, *rule.after]))
                return AbsenceKind(rule, feeds, self.rule_set.time_zone, self._calendar(rule.calendar))
            case CountRule():
                return CountKind(rule, self.feeds_of(rule, event_types(rule.of)))
            case ScoreRule():
                return ScoreKind(rule, self.feeds if rule.needs is None else self.feeds_of(rule, frozenset()))
            case SlaRule():
                feeds = self.feeds_of(rule, event_types(["ticket.*"]))
                return SlaKind(rule, feeds, [self._target(target) for target in rule.targets])
            case _:
                assert_never(rule)

    def _target(self, target: SlaTarget) -> Target:
        exact = exact_ms(target.target) if target.target is not None else None
        calendar = self._calendar(target.calendar)
        if calendar is None:
            return Target(target, self._always_open, None, exact)
        return Target(target, calendar, self.calendars[target.calendar or ""].version, exact)

    def _calendar(self, name: str | None) -> BusinessCalendar | None:
        if name is None:
            return None
        if name not in self.calendars:
            known = ", ".join(self.calendars) or "none"
            raise ContractError("bad_calendar", f"the calendar {name!r} is not published; known are {known}")
        return self.calendars[name].calendar
