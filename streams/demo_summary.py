"""What the demonstration comes to: alerts set against what really happened in the simulated shop."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.decisions import AlertRecord
from schemas.instants import DAY_MS
from streams.simulated_customers import SIGNS_MS

FORETELLING_KINDS: Final = frozenset({"absence", "score"})
"""The kinds of rules that say of a customer: this one is leaving."""
NOTICED_WITHIN_MS: Final = 45 * DAY_MS
"""An alert later than this after the true end is no use any more."""


@dataclass(frozen=True)
class Hits:
    """How well alerts agree with who really left."""

    alerts: int
    true_alerts: int
    left: int
    noticed: int
    """Of those who left: how many had a true alert."""

    @property
    def precision(self) -> float:
        """Share of the alerts that were true."""
        return self.true_alerts / self.alerts if self.alerts else 0.0

    @property
    def recall(self) -> float:
        """Share of those who left that were noticed."""
        return self.noticed / self.left if self.left else 0.0


def hits(opened: Iterable[AlertRecord], left_ms: Mapping[str, int]) -> Hits:
    """Compare opened alerts with the truth.

    Of the kinds `absence` and `score` an alert is true if its customer left, and it opened in the interval from the
    first sign, 28 days before the end, to 45 days after it.

        signs            end                    45 days
        [----------------|----------------------)
    """
    alerts, true_alerts, noticed = 0, 0, set[str]()
    for alert in opened:
        if alert.kind not in FORETELLING_KINDS or alert.customer_id is None:
            continue
        alerts += 1
        end_ms = left_ms.get(alert.customer_id)
        if end_ms is not None and end_ms - SIGNS_MS <= alert.at_ms < end_ms + NOTICED_WITHIN_MS:
            true_alerts += 1
            noticed.add(alert.customer_id)
    return Hits(alerts, true_alerts, len(left_ms), len(noticed))


@dataclass
class Tally:
    """What was seen so far."""

    events: int = 0
    """Records with a value that were sent."""
    dead_letters: Counter[str] = field(default_factory=Counter)
    opened: list[AlertRecord] = field(default_factory=list)
    transitions: Counter[str] = field(default_factory=Counter)
    """By state."""
    auc: float | None = None
    """Of the latest model that was published, each example scored before it was learned."""
    examples: int = 0
    """That this model had learned from."""
    profiles: int = 0
    """Customers with a profile."""

    def take(self, alert: AlertRecord) -> None:
        """A transition of an alert."""
        self.transitions[alert.state] += 1
        if alert.state == "opened":
            self.opened.append(alert)

    @property
    def opened_by_rule(self) -> dict[str, int]:
        """How many alerts were opened, by rule without its version."""
        return dict(sorted(Counter(alert.rule.rpartition("@")[0] for alert in self.opened).items()))


@dataclass(frozen=True)
class Summary:
    """The end of a demonstration."""

    tally: Tally
    hits: Hits
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        auc = self.tally.auc
        return {
            "events": self.tally.events,
            "seconds": round(self.seconds, 1),
            "alerts": self.tally.opened_by_rule,
            "precision": round(self.hits.precision, 4),
            "recall": round(self.hits.recall, 4),
            "auc": None if auc is None else round(auc, 4),
            "dead_letters": self.tally.dead_letters.total(),
        }

    def __str__(self) -> str:
        tally, hits_ = self.tally, self.hits
        refused = ", ".join(f"{reason} {count}" for reason, count in sorted(tally.dead_letters.items())) or "none"
        model = "none was published" if tally.auc is None else f"AUC {tally.auc:.3f} over {tally.examples} examples"
        lines = [
            f"{tally.events} events in {self.seconds:.0f} s ({tally.events / max(self.seconds, 0.001):.0f} a second)",
            "alerts opened",
            *(f"  {rule}  {count}" for rule, count in tally.opened_by_rule.items()),
            "alerts by transition",
            *(f"  {state}  {count}" for state, count in sorted(tally.transitions.items())),
            f"precision {hits_.precision:.2f}: {hits_.true_alerts} of {hits_.alerts} alerts that somebody leaves were right",
            f"recall    {hits_.recall:.2f}: {hits_.noticed} of {hits_.left} customers who left were noticed",
            "          (right: opened between 28 days before and 45 days after the true end; rules of absence and score)",
            f"model     {model}; each was scored before it was learned",
            f"profiles  {tally.profiles} customers in Valkey",
            f"dead letters  {refused}",
        ]
        return "\n".join(lines)
