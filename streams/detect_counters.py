"""What detect has done since the process started, over all partitions; only ever added to."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from detectors.decisions import Decisions
from detectors.tally import Tally
from schemas.decisions import REMARKS, AlertRecord, happened
from streams.buckets import Buckets

_TRANSACTION_BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_DELAY_BOUNDS_S: Final = (0.5, 1, 2, 5, 10, 15, 30, 60, 300, 900, 3_600, 21_600, 86_400)


def _delays() -> Buckets:
    return Buckets(_DELAY_BOUNDS_S)


@dataclass
class DetectCounters:
    """Read from the thread of the metrics, written in the loop."""

    records: int = 0
    transactions: Buckets = field(default_factory=lambda: Buckets(_TRANSACTION_BOUNDS_S))
    """How long they took, in seconds."""
    restores: int = 0
    restore_s: float = 0.0
    """Time that they took, together."""
    restored_records: int = 0
    seeks_back: int = 0
    lost_partitions: int = 0
    alerts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By rule and state; what leaves the state as it was, like a remark, is no transition."""
    sla_breaches: Counter[str] = field(default_factory=Counter)
    """Of all rules, by tier."""
    verdicts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By rule, tier and verdict."""
    timer_delays: Buckets = field(default_factory=_delays)
    """From the instant at which a timer was due to the commit of its alert, in seconds."""
    event_delays: Buckets = field(default_factory=_delays)
    """The same from the time of the event that an alert rests on."""
    tally: Tally = field(default_factory=Tally)
    erasures: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    """By reason."""

    def count(self, decisions: Decisions, now_ms: int | None) -> None:
        """What was committed, and when; None: while time follows the events, nobody waits for anything."""
        for alert in decisions.alerts:
            self._count_alert(alert, now_ms)
        told = [*decisions.alerts, *decisions.shadow]
        verdicts = ((alert.rule, alert.tier or "", alert.verdict) for alert in told if alert.verdict is not None)
        self.verdicts.update(verdicts)
        self.erasures += len(decisions.erasures)
        self.dead_letters.update(letter.reason for letter in decisions.dead_letters)

    def _count_alert(self, alert: AlertRecord, now_ms: int | None) -> None:
        if happened(alert) in REMARKS:
            return
        self.alerts[alert.rule, alert.state] += 1
        if alert.state != "opened":
            return
        by_timer = alert.at_ms == alert.due_ms
        if alert.kind == "sla" and by_timer:
            self.sla_breaches[alert.tier or ""] += 1
        if now_ms is not None:
            (self.timer_delays if by_timer else self.event_delays).add(max(0, now_ms - alert.at_ms) / 1000)
