"""What an alert says in words: templates over the codes and values of its record, in the language of whoever reads it."""

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from detectors.features import NAMES, in_words
from schemas.decisions import AlertRecord, Because, ClearsIf
from schemas.errors import ContractError
from schemas.instants import Exact, parse_duration
from schemas.zones import load_zone
from sinks.base import Language
from streams.lexicon import Lexicon
from streams.words_en import ENGLISH
from streams.words_zh import CHINESE

UTC: Final = load_zone("UTC")
_SHARES: Final = frozenset({"probability", "fraction", "share", "change"})


class Words:
    """Says alerts in a language.

    Args:
        lexicon: of the language.
        zone: whose wall the instants are told by.
    """

    def __init__(self, lexicon: Lexicon = ENGLISH, zone: ZoneInfo = UTC) -> None:
        self._lexicon = lexicon
        self._zone = zone

    def said(self, alert: AlertRecord) -> str:
        """One line on what happened and why."""
        words = self._lexicon
        template = words.states.get(alert.state, "{because}")
        events = (words.event.format(type=one.type, at=self.minute(one.at_ms)) for one in alert.evidence)
        by = words.comma.join(events) or self.because_of(alert)
        until = "-" if alert.snoozed_until_ms is None else self.minute(alert.snoozed_until_ms)
        return template.format(by=by, because=self.because_of(alert), who=alert.by or "-", until=until)

    def because_of(self, alert: AlertRecord) -> str:
        """The clauses that held."""
        return self._lexicon.comma.join(self.clauses_of(alert)) or "-"

    def clauses_of(self, alert: AlertRecord) -> list[str]:
        """The same, each for itself, in the order of the record."""
        measured = {clause.clause: float(clause.value) for clause in alert.because if isinstance(clause.value, int | float)}
        return [self._clause(clause, measured) for clause in alert.because]

    def clears_when(self, alert: AlertRecord, clears_if: ClearsIf) -> str:
        """What would close the alert, as a sentence."""
        by_itself = ""
        if clears_if.at_ms is not None and clears_if.code != "window_empties":
            by_itself = self._lexicon.by_itself.format(at=self.minute(clears_if.at_ms))
        return self._clearing(alert, clears_if) + by_itself

    def minute(self, at_ms: int) -> str:
        """An instant as people write it, seconds cut off.

        >>> Words().minute(61_000)
        '1970-01-01 00:01'
        """
        return f"{datetime.fromtimestamp(at_ms // 1000, self._zone):%Y-%m-%d %H:%M}"

    def _clearing(self, alert: AlertRecord, clears_if: ClearsIf) -> str:
        words = self._lexicon
        template = words.clears[clears_if.code]
        if clears_if.code == "rules_close" and alert.kind == "any":
            template = words.none_open
        joined = (words.comma if clears_if.code == "rules_close" else words.alternatives).join(clears_if.of)
        then = ""
        if clears_if.probability is not None:
            then = words.then.format(probability=clears_if.probability, below=clears_if.below)
        return template.format(
            names=joined or alert.feed or words.them,
            subject=self._subject(alert),
            only="" if clears_if.where is None else words.only.format(where=clears_if.where),
            where=clears_if.where,
            times="" if (clears_if.count or 1) == 1 else words.times.format(count=clears_if.count),
            then=then,
            or_at=words.or_at if _is_limit_itself(alert, clears_if) else "",
            at="-" if clears_if.at_ms is None else self.minute(clears_if.at_ms),
            below=self._limit(clears_if, clears_if.below),
            above=self._limit(clears_if, clears_if.above),
        )

    def _limit(self, clears_if: ClearsIf, limit: float | None) -> str:
        if limit is None:
            return self._lexicon.its_limit
        return f"{limit:.0%}" if clears_if.code in {"probability_below", "share_below"} else _number(limit)

    def _subject(self, alert: AlertRecord) -> str:
        if alert.ticket_id is not None:
            return self._lexicon.ticket.format(alert.ticket_id)
        if alert.contract_id is not None:
            return self._lexicon.contract.format(alert.contract_id)
        return self._lexicon.customer.format(alert.customer_id)

    def _clause(self, clause: Because, measured: dict[str, float]) -> str:
        if clause.clause in NAMES:
            return in_words(clause.clause, measured | clause.beside, self._lexicon.features)
        value = self._value(clause.clause, clause.value)
        threshold = "" if clause.threshold is None else self._value(clause.clause, clause.threshold)
        template = self._lexicon.clauses.get(clause.clause)
        if template is None:
            limit = self._lexicon.limit.format(threshold) if threshold else ""
            return f"{clause.clause.replace('_ms', '').replace('_', ' ')} {value}{limit}"
        return template.format(value=value, threshold=threshold)

    def _value(self, code: str, value: float | str) -> str:
        if isinstance(value, str):
            if code == "feed_reason":
                return self._lexicon.reasons.get(value, value)
            return self._limit_in_words(value) if code.endswith("_ms") else value
        if code.endswith("_ms"):
            return self._lexicon.duration(round(value))
        return f"{value:.0%}" if code in _SHARES else _number(value)

    def _limit_in_words(self, text: str) -> str:
        """A limit as the rules file has it, P90D or P3M."""
        try:
            duration = parse_duration(text)
        except ContractError:
            return text
        return self._lexicon.duration(duration.ms) if isinstance(duration, Exact) else self._lexicon.months(duration.months)


def words_of(language: Language, zone: ZoneInfo) -> Words:
    """Who says alerts to a recipient."""
    return Words(CHINESE if language == "zh" else ENGLISH, zone)


_ENGLISH: Final = Words()
said: Final = _ENGLISH.said
because_of: Final = _ENGLISH.because_of
clauses_of: Final = _ENGLISH.clauses_of
clears_when: Final = _ENGLISH.clears_when
minute: Final = _ENGLISH.minute
"""In English and UTC: for the command line."""


def _is_limit_itself(alert: AlertRecord, clears_if: ClearsIf) -> bool:
    """A rule without a clear limit of its own clears at its limit, not only beyond."""
    limit = clears_if.above if clears_if.above is not None else clears_if.below
    return any(clause.clause == "value" and clause.threshold == limit for clause in alert.because)


def _number(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
