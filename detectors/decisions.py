"""What one record of the log led to."""

from dataclasses import dataclass, field

from schemas.decisions import AlertRecord, DeadLetter, ExampleRecord, LifecycleRecord, RiskRecord


@dataclass(slots=True)
class Decisions:
    """Records for the outside, each list in the order of the decisions."""

    alerts: list[AlertRecord] = field(default_factory=list)
    shadow: list[AlertRecord] = field(default_factory=list)
    """Alerts of rules in shadow mode, never to be acted on."""
    risk: list[RiskRecord] = field(default_factory=list)
    lifecycle: list[LifecycleRecord] = field(default_factory=list)
    examples: list[ExampleRecord] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any((self.alerts, self.shadow, self.risk, self.lifecycle, self.examples, self.dead_letters))

    def add_alert(self, alert: AlertRecord) -> None:
        """Put an alert where its mode wants it."""
        (self.alerts if alert.mode == "live" else self.shadow).append(alert)
