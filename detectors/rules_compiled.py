"""A rule set made ready: every rule with its predicates, durations and calendars built once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import assert_never

from detectors.absence import AbsenceKind
from detectors.calendars import AlwaysOpen, BusinessCalendar
from detectors.composite import CompositeKind
from detectors.count import CountKind
from detectors.decline import DeclineKind
from detectors.expression_tokens import members_of, tokens_of
from detectors.features import types_behind
from detectors.gaps import NO_GAPS, Gaps, Spans, of_feeds, with_gaps
from detectors.kinds import Kind
from detectors.level import LevelKind
from detectors.predicates import event_types
from detectors.renewal import RenewalKind
from detectors.rhythm import RhythmKind
from detectors.score import ScoreKind
from detectors.share import ShareKind
from detectors.sla import SlaKind
from detectors.sla_clock import Target
from schemas.calendars import CalendarDocument
from schemas.errors import ContractError
from schemas.events import EVENT_TYPES
from schemas.instants import exact_ms
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
    SlaTarget,
)
from schemas.rules import RuleSet


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
        gaps: of each feed that has some.

    Raises:
        ContractError: a rule that cannot be built; the message begins with its id.
    """

    def __init__(
        self,
        rule_set: RuleSet,
        published: Mapping[str, tuple[str, CalendarDocument]] | None = None,
        gaps: Gaps = NO_GAPS,
    ) -> None:
        self.rule_set = rule_set
        self.gaps = gaps
        documents = {name: (rule_set.version, document) for name, document in rule_set.calendars.items()}
        documents |= published or {}
        self.calendars = {
            name: KnownCalendar(BusinessCalendar.from_document(document), version)
            for name, (version, document) in sorted(documents.items())
        }
        self._always_open = AlwaysOpen(rule_set.time_zone)  # one, so that targets on it have their calendar in common
        self.feeds = tuple(sorted(rule_set.feeds))
        self._rules = {rule.id: rule for rule in rule_set.rules}
        self.by_id: dict[str, Kind] = {}
        for rule in rule_set.rules:
            self._compile(rule, ())
        self.kinds: tuple[Kind, ...] = tuple(self.by_id[rule.id] for rule in rule_set.rules)
        # parts come before what is made of them
        self.composites = tuple(kind for kind in self.by_id.values() if isinstance(kind, CompositeKind))
        self.selective = tuple(kind for kind in self.kinds if kind.rule.tiers is not None or kind.rule.stages is not None)
        self._feed_of = {name: rule_set.feed_of(name) for name in EVENT_TYPES}
        names = sorted({name for kind in self.kinds for name in kind.types})
        self.by_type: dict[str, tuple[Kind, ...]] = {
            name: tuple(kind for kind in self.kinds if name in kind.types) for name in names
        }

    def feed_of(self, event_type: str) -> str | None:
        """The feed that delivers a type, None if no feed does."""
        return self._feed_of[event_type]

    def feeds_of(self, rule: Rule, types: frozenset[str]) -> tuple[str, ...]:
        """The feeds whose marks make a rule's now.

        Those it needs; by default those that deliver what it looks at, also by `features`: a feature whose feed is dead
        fades, which is not the customer's doing.
        """
        if rule.needs is not None:
            return tuple(sorted(set(rule.needs)))
        texts = (getattr(rule, field, None) for field in ("where", "where_after", "value"))
        names = [name for text in texts if text is not None for name in members_of(tokens_of(text), "features")]
        delivering = {self.rule_set.feed_of(name) for name in types | event_types(types_behind(names))}
        return tuple(sorted(feed for feed in delivering if feed is not None))

    def composites_of(self, rule_id: str) -> Iterator[CompositeKind]:
        """The rules that are made of this one."""
        return (kind for kind in self.composites if rule_id in kind.rule.rules)

    def _compile(self, rule: Rule, within: tuple[str, ...]) -> None:
        """Build a rule, after those that it is made of."""
        if rule.id in self.by_id:
            return
        try:
            for part in self._parts_of(rule, within):
                self._compile(part, (*within, rule.id))
            self.by_id[rule.id] = self._built(rule)
        except ContractError as error:
            known = error.message.startswith("rule ")
            raise ContractError(error.code, error.message if known else f"rule {rule.id!r}: {error.message}") from None

    def _parts_of(self, rule: Rule, within: tuple[str, ...]) -> list[Rule]:
        if rule.id in within:
            raise ContractError("bad_document", f"it is made of itself: {' of '.join([*within, rule.id])}")
        parts = rule.rules if isinstance(rule, AllRule | AnyRule) else []
        if missing := [part for part in parts if part not in self._rules]:
            raise ContractError("bad_document", f"it is made of {missing[0]!r}, which is not a rule of this set")
        return [self._rules[part] for part in parts]

    def _built(self, rule: Rule) -> Kind:  # noqa: PLR0911  (one return a kind)
        match rule:
            case AbsenceRule():
                feeds = self.feeds_of(rule, event_types([*rule.of, *rule.after]))
                return AbsenceKind(rule, feeds, self.rule_set.time_zone, self._calendar(rule.calendar), self._gaps_of(feeds))
            case CountRule():
                feeds = self.feeds_of(rule, event_types(rule.of))
                return CountKind(rule, feeds, self._gaps_of(feeds))
            case DeclineRule():
                feeds = self.feeds_of(rule, event_types(rule.of))
                return DeclineKind(rule, feeds, self._gaps_of(feeds))
            case LevelRule():
                return LevelKind(rule, self.feeds_of(rule, event_types(rule.of)))
            case RenewalRule():
                return RenewalKind(rule, self.feeds_of(rule, event_types(["contract.*"])))
            case RhythmRule():
                feeds = self.feeds_of(rule, event_types(rule.of))
                return RhythmKind(rule, feeds, self._gaps_of(feeds))
            case ScoreRule():
                return ScoreKind(rule, self.feeds if rule.needs is None else self.feeds_of(rule, frozenset()))
            case ShareRule():
                feeds = self.feeds_of(rule, event_types([*rule.of, *rule.unless]))
                return ShareKind(rule, feeds, self._gaps_of(feeds))
            case SlaRule():
                feeds = self.feeds_of(rule, event_types(["ticket.*"]))
                return SlaKind(rule, feeds, [self._target(target, self._gaps_of(feeds)) for target in rule.targets])
            case AllRule() | AnyRule():
                return CompositeKind(rule, self._feeds_of_parts(rule))
            case _:
                assert_never(rule)

    def _feeds_of_parts(self, rule: AllRule | AnyRule) -> tuple[str, ...]:
        if rule.needs is not None:
            return tuple(sorted(set(rule.needs)))
        return tuple(sorted({feed for part in rule.rules for feed in self.by_id[part].feeds}))

    def _gaps_of(self, feeds: tuple[str, ...]) -> Spans:
        return of_feeds(self.gaps, feeds)

    def _target(self, target: SlaTarget, gaps: Spans) -> Target:
        exact = exact_ms(target.target) if target.target is not None else None
        calendar = self._calendar(target.calendar)
        if calendar is None:
            return Target(target, with_gaps(self._always_open, gaps), None, exact)
        return Target(target, with_gaps(calendar, gaps), self.calendars[target.calendar or ""].version, exact)

    def _calendar(self, name: str | None) -> BusinessCalendar | None:
        if name is None:
            return None
        if name not in self.calendars:
            known = ", ".join(self.calendars) or "none"
            raise ContractError("bad_calendar", f"the calendar {name!r} is not published; known are {known}")
        return self.calendars[name].calendar
