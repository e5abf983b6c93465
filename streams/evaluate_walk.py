"""The pipeline over a file, as it would have run live.

Events and ticks go to the engine, what matures to the model, and the model back to the engine after every so many examples.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from detectors.decisions import Decisions
from detectors.engine import PartitionEngine
from detectors.model import ChurnModel
from detectors.scoring import Scorer
from schemas.control import ModelPublished, RulesPublished, Tick
from schemas.decisions import AlertRecord, ExampleRecord
from schemas.events import AnyEvent
from schemas.instants import HOUR_MS
from schemas.rules import RuleSet

SNAPSHOT_EXAMPLES: Final = 1_000
"""As often as `learn` publishes, unless it is told otherwise."""
_US: Final = 1e6


@dataclass(slots=True)
class Spent:
    """Where the time went; it differs from run to run, and nothing else does."""

    event_us: "array[float]" = field(default_factory=lambda: array("d"))
    """The engine, for each event; timers that an event let run are in it."""
    tick_s: float = 0.0
    """The engine, for all ticks: reviews and looks."""
    learn_us: "array[float]" = field(default_factory=lambda: array("d"))
    """The model, for each example."""


class Walk:
    """One engine and one model, led through time.

    Args:
        rules: in force from the start.
        snapshot_examples: the model is published after each so many.
    """

    def __init__(self, rules: RuleSet, *, snapshot_examples: int = SNAPSHOT_EXAMPLES) -> None:
        self.engine = PartitionEngine(0)
        self.model = ChurnModel()
        self.scorer: Scorer | None = None
        """The model that the engine has."""
        self.opened: list[AlertRecord] = []
        """Alerts, in shadow mode too, at their opening."""
        self.spent = Spent()
        self._has_rules = bool(rules.rules)
        self._examples: list[ExampleRecord] = []
        self._snapshot_examples = snapshot_examples
        self._learned = self._published = 0
        self.engine.apply(0, RulesPublished(at_ms=0, version=rules.version, revision=1, document=rules))

    def through(self, events: Iterable[AnyEvent], cuts_ms: list[int]) -> Iterator[int]:
        """Apply the events, and stop at each cut-off: whatever comes at or after it has not been seen then.

        Ticks are made as `replay` makes them, and one at each cut-off. What comes after the last one is only of use to
        rules, whose alerts have a horizon more to come true.
        """
        waiting = iter([*cuts_ms, None])
        cut_ms = next(waiting)
        boundary_ms: int | None = None
        for event in events:
            while cut_ms is not None and event.at_ms >= cut_ms:
                self._tick(cut_ms)
                yield cut_ms
                cut_ms = next(waiting)
            if cut_ms is None and not self._has_rules:
                return
            if boundary_ms is None or event.at_ms >= boundary_ms:
                reached_ms = event.at_ms // HOUR_MS * HOUR_MS
                if boundary_ms is not None:
                    self._tick(reached_ms)
                boundary_ms = reached_ms + HOUR_MS
            self._event(event)
        while cut_ms is not None:
            self._tick(cut_ms)
            yield cut_ms
            cut_ms = next(waiting)

    def take_examples(self) -> list[ExampleRecord]:
        """What has matured since the last call, learned already."""
        found, self._examples = self._examples, []
        return found

    def _event(self, event: AnyEvent) -> None:
        began_s = perf_counter()
        decisions = self.engine.apply(self.engine.position + 1, event)
        self.spent.event_us.append((perf_counter() - began_s) * _US)
        self._take(decisions, event.at_ms)

    def _tick(self, at_ms: int) -> None:
        began_s = perf_counter()
        decisions = self.engine.apply(self.engine.position + 1, Tick(at_ms=at_ms))
        self.spent.tick_s += perf_counter() - began_s
        self._take(decisions, at_ms)

    def _take(self, decisions: Decisions, at_ms: int) -> None:
        if not decisions:
            return
        self.opened += [alert for alert in (*decisions.alerts, *decisions.shadow) if alert.state == "opened"]
        for example in decisions.examples:
            began_s = perf_counter()
            self.model.learn(example)
            self.spent.learn_us.append((perf_counter() - began_s) * _US)
            self._learned += 1
            if self._learned % self._snapshot_examples == 0:
                self._publish(at_ms)
        self._examples += decisions.examples

    def _publish(self, at_ms: int) -> None:
        self._published += 1
        document = self.model.document(self._learned - 1)
        version = f"{self.model.name}-{self._learned - 1}"
        self.scorer = Scorer.of(document, version)
        published = ModelPublished(at_ms=at_ms, version=version, revision=self._published, document=document)
        self.engine.apply(self.engine.position + 1, published)
