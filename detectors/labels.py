"""Reviews: features frozen once a week per customer, and released with their label one horizon later.

Both labels are released at the same delay. Releasing "stayed" as soon as it is seen would teach the model from
customers who come back soon, long before it hears of those who do not.
"""

import zlib
from bisect import bisect_left
from typing import Final, Protocol, Self

import msgspec

from detectors.features import NAMES, features_at
from detectors.gaps import NO_GAPS, Gaps, Spans, of_feeds, overlapping
from detectors.packed_features import pack_features, unpack_features
from detectors.predicates import event_types
from detectors.risk_state import LabelState, Pending, Span
from detectors.state import Customer
from schemas.decisions import ExampleRecord
from schemas.events import AnyEvent
from schemas.instants import DAY_MS, MAX_INSTANT_MS, WEEK_MS, exact_ms
from schemas.rules import RuleSet

MAX_PENDING: Final = 200_000
"""Examples that may be pending in a partition; above it only some reviews make one."""
KEPT_ONE_IN: Final = 10
"""Above the limit: of the reviews of a week without activity, the share that still makes an example."""

_NO_SILENCE: Final = -1.0


class PendingExample(msgspec.Struct, frozen=True, array_like=True):
    """Features as they were at a review, with the days of silence behind them (-1: no activity counts)."""

    feature_set: int
    """Which features, in which order: a release with others drops the example."""
    horizon_ms: int
    active: bool
    packed: bytes | list[float]
    """A list in examples of the releases before, which have other features."""


FEATURE_SET: Final = zlib.crc32(",".join(NAMES).encode())


class PendingStore(Protocol):
    """Where pending examples are kept."""

    def __len__(self) -> int:
        """How many there are."""

    def put(self, customer_id: str, at_ms: int, example: PendingExample) -> None:
        """Keep one."""

    def take(self, customer_id: str, at_ms: int) -> PendingExample | None:
        """Take one out; None if it is not there."""


class Reviews:
    """When customers are reviewed, and what becomes of it.

    Args:
        horizon_ms: how far ahead the label looks.
        stays: event types that are activity; with none, a customer stays unless an event of `leaves` says otherwise.
        leaves: event types that mean an end.
        feeds: whose marks make the reviews' now.
        max_pending: see `MAX_PENDING`.
        gaps: of the feeds that deliver activity: what lies within a horizon was not seen whole, and makes no example.
    """

    def __init__(
        self,
        *,
        horizon_ms: int,
        stays: frozenset[str],
        leaves: frozenset[str],
        feeds: tuple[str, ...],
        max_pending: int = MAX_PENDING,
        gaps: Spans = (),
    ) -> None:
        self._gaps = gaps
        self.horizon_ms = horizon_ms
        self.feeds = feeds
        self.types = stays | leaves
        self._stays = stays
        self._leaves = leaves
        self._max_pending = max_pending

    @classmethod
    def of(
        cls,
        rule_set: RuleSet,
        *,
        max_pending: int = MAX_PENDING,
        gaps: Gaps = NO_GAPS,
    ) -> Self | None:
        """The reviews that a rule set asks for; None without a `churn` section.

        Features look at every feed, so every feed has a say in their now: one that is dead must not look like silence.
        """
        churn = rule_set.churn
        if churn is None:
            return None
        stays, leaves = event_types(churn.of), event_types(churn.or_)
        telling = sorted({feed for name in stays | leaves if (feed := rule_set.feed_of(name)) is not None})
        return cls(
            horizon_ms=exact_ms(churn.horizon),
            stays=stays,
            leaves=leaves,
            gaps=of_feeds(gaps, telling),
            feeds=tuple(sorted(rule_set.feeds)),
            max_pending=max_pending,
        )

    def adopt(self, customer: Customer, now_ms: int | None) -> None:
        """Reviews begin, or the customer is new: the past is not made up for, since its features are not known."""
        labels = customer.labels
        if labels == LabelState():
            for name, last in sorted(customer.lasts.items()):
                if name in self.types:
                    _insert(labels.stays if name in self._stays else labels.leaves, last.at_ms, customer.id)
        if labels.reviewed_ms is None and now_ms is not None and now_ms > customer.first_ms:
            labels.reviewed_ms = now_ms

    def on_event(self, customer: Customer, event: AnyEvent) -> None:
        """An event of `types`, late or not; it has its say in every label that is not released yet."""
        labels = customer.labels
        _insert(labels.stays if event.type in self._stays else labels.leaves, event.at_ms, customer.id)
        self._forget(labels)

    def wake_ms(self, customer: Customer) -> int:
        """The next review or release."""
        labels = customer.labels
        reviewed_ms = customer.first_ms if labels.reviewed_ms is None else labels.reviewed_ms
        # Not `due_ms`: there may be many, and all of them are asked at each review.
        releases = [pending.at_ms + pending.horizon_ms for pending in labels.pending]
        return min(next_review_ms(customer.id, reviewed_ms), min(releases, default=MAX_INSTANT_MS))

    def on_due(self, customer: Customer, due_ms: int, store: PendingStore) -> list[ExampleRecord]:
        """The reviews' now has reached `wake_ms`: release what is due, then hold the review, if it is one."""
        labels = customer.labels
        released = []
        due = [pending for pending in labels.pending if pending.at_ms + pending.horizon_ms <= due_ms]
        due.sort(key=lambda pending: pending.due_ms)
        for pending in due:
            labels.pending.remove(pending)
            example = self._released(customer, pending, store)
            if example is not None:
                released.append(example)
        if next_review_ms(customer.id, due_ms - 1) == due_ms:
            self._review(customer, due_ms, store)
        self._forget(labels)
        return released

    def _review(self, customer: Customer, at_ms: int, store: PendingStore) -> None:
        labels = customer.labels
        labels.reviewed_ms = at_ms
        stayed_ms = _latest_before(at_ms, labels.stays, labels.stayed_ms)
        left_ms = _latest_before(at_ms, labels.leaves, labels.left_ms)
        if not self._can_churn(stayed_ms, left_ms) or customer.features.settled_ms > at_ms:
            return
        eventful = stayed_ms is not None and stayed_ms >= at_ms - WEEK_MS
        if len(store) >= self._max_pending and not eventful and not _is_sampled(customer.id, at_ms):
            return
        active = stayed_ms is not None and stayed_ms >= at_ms - self.horizon_ms
        silence_days = (at_ms - stayed_ms) / DAY_MS if stayed_ms is not None else _NO_SILENCE
        values = features_at(customer.features, at_ms, self.horizon_ms / DAY_MS)
        packed = pack_features((*values, silence_days))
        store.put(customer.id, at_ms, PendingExample(FEATURE_SET, self.horizon_ms, active, packed))
        labels.pending.append(Pending(at_ms, self.horizon_ms))

    def _can_churn(self, stayed_ms: int | None, left_ms: int | None) -> bool:
        """Whoever was never active, or has left and not come back, has nothing to lose."""
        if not self._stays:
            return left_ms is None
        return stayed_ms is not None and (left_ms is None or stayed_ms > left_ms)

    def _released(self, customer: Customer, pending: Pending, store: PendingStore) -> ExampleRecord | None:
        example = store.take(customer.id, pending.at_ms)
        if overlapping(self._gaps, pending.at_ms, pending.due_ms):  # nobody knows who came, so neither label is true
            return None
        if example is None or example.feature_set != FEATURE_SET or isinstance(example.packed, list):
            return None
        *features, silence_days = unpack_features(example.packed, len(NAMES) + 1)
        labels = customer.labels
        left = _any_within(labels.leaves, pending)
        return ExampleRecord(
            customer_id=customer.id,
            at_ms=pending.at_ms,
            horizon_ms=pending.horizon_ms,
            churned=left or (bool(self._stays) and not _any_within(labels.stays, pending)),
            names=list(NAMES),
            features=features,
            active=example.active,
            silence_days=None if silence_days == _NO_SILENCE else silence_days,
        )

    def _forget(self, labels: LabelState) -> None:
        """Keep of the spans that are over only the latest instant."""
        if labels.pending:
            needed_ms = labels.pending[0].at_ms
        elif labels.reviewed_ms is not None:
            needed_ms = labels.reviewed_ms
        else:
            return
        labels.stayed_ms = _fold_before(needed_ms, labels.stays, labels.stayed_ms)
        labels.left_ms = _fold_before(needed_ms, labels.leaves, labels.left_ms)


def drop_pending(customer: Customer, store: PendingStore) -> int:
    """Forget what is pending, as when reviews end; how much it was."""
    taken = [store.take(customer.id, pending.at_ms) for pending in customer.labels.pending]
    customer.labels = LabelState()
    return sum(example is not None for example in taken)


def next_review_ms(customer_id: str, after_ms: int) -> int:
    """The first review of a customer after an instant: weekly, at an offset that a hash of the id chooses."""
    phase_ms = _phase_ms(customer_id)
    return phase_ms + ((after_ms - phase_ms) // WEEK_MS + 1) * WEEK_MS


def _phase_ms(customer_id: str) -> int:
    return zlib.crc32(customer_id.encode()) % WEEK_MS


def _is_sampled(customer_id: str, at_ms: int) -> bool:
    return zlib.crc32(f"{customer_id}/{at_ms // WEEK_MS}".encode()) % KEPT_ONE_IN == 0


def _insert(spans: list[Span], at_ms: int, customer_id: str) -> None:
    next_ms = next_review_ms(customer_id, at_ms)
    place = bisect_left(spans, next_ms - WEEK_MS, key=_first)
    if place < len(spans) and spans[place].first_ms < next_ms:
        known = spans[place]
        spans[place] = Span(min(known.first_ms, at_ms), max(known.last_ms, at_ms))
    else:
        spans.insert(place, Span(at_ms, at_ms))


def _first(span: Span) -> int:
    return span.first_ms


def _latest_before(at_ms: int, spans: list[Span], otherwise: int | None) -> int | None:
    """The latest instant before a review: no span lies on both sides of one."""
    place = bisect_left(spans, at_ms, key=_first)
    return spans[place - 1].last_ms if place else otherwise


def _any_within(spans: list[Span], pending: Pending) -> bool:
    place = bisect_left(spans, pending.at_ms, key=_first)
    return place < len(spans) and spans[place].first_ms < pending.due_ms


def _fold_before(needed_ms: int, spans: list[Span], latest_ms: int | None) -> int | None:
    """Take out the spans before a review; the latest instant of them, or the one known."""
    if not spans or spans[0].first_ms >= needed_ms:
        return latest_ms
    place = bisect_left(spans, needed_ms, key=_first)
    over = [span.last_ms for span in spans[:place]]
    del spans[:place]
    return max([*over, latest_ms] if latest_ms is not None else over, default=None)
