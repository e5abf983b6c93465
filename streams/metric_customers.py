"""What is counted of customers, for those who run the shop: by tier, never by customer."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from detectors.tally import Happening, What
from streams.metric_samples import Sample
from streams.metric_table import MetricName

if TYPE_CHECKING:
    from streams.detect import Detector

MOST_TIERS: Final = 20
OTHER: Final = "other"
"""Of a tier that is not among the most frequent: a label must not have any number of values."""


def customer_samples(detector: "Detector") -> Iterator[Sample]:
    """Of the partitions that are worked on here. They are copied first: detect goes on in another thread."""
    standings = [status.standing for status in detector.statuses() if status.standing is not None]
    counters = detector.counters
    customers = _sum(standing.customers for standing in standings)
    tiers = frequent_tiers(customers)
    yield from _labelled("churn_customers", [((stage, tiers(tier)), count) for (stage, tier), count in customers.items()])
    yield from _labelled("churn_open_alerts", _sum(standing.open_alerts for standing in standings).items())
    yield Sample("churn_timers", (), sum(standing.timers for standing in standings))
    verdicts = [((rule.partition("@")[0], tiers(tier), what), n) for (rule, tier, what), n in dict(counters.verdicts).items()]
    yield from _labelled("churn_alert_verdicts_total", verdicts)
    yield from _labelled("churn_sla_breaches_total", [((tiers(tier),), n) for tier, n in dict(counters.sla_breaches).items()])
    yield from _happenings(dict(counters.tally), tiers)


def _happenings(tally: Mapping[Happening, int], tiers: "_Tiers") -> Iterator[Sample]:
    names: Mapping[What, MetricName] = {
        "order": "churn_orders_total",
        "ticket": "churn_tickets_total",
        "stage": "churn_stage_changes_total",
    }
    for what, name in names.items():
        yield from _labelled(name, [(_labels(one, tiers(one.tier)), count) for one, count in tally.items() if one.what == what])


def _labels(one: Happening, tier: str) -> tuple[str, ...]:
    match one.what:
        case "order":
            return tier, one.detail
        case "ticket":
            return (tier,)
        case "stage":
            return one.detail, tier, one.warned


class _Tiers:
    def __init__(self, kept: frozenset[str]) -> None:
        self._kept = kept

    def __call__(self, tier: str) -> str:
        return tier if tier in self._kept else OTHER


def frequent_tiers(customers: Mapping[tuple[str, str], int]) -> _Tiers:
    """Which tiers keep their names: those with the most customers; without one is a name too."""
    by_tier: Counter[str] = Counter()
    for (_, tier), count in customers.items():
        by_tier[tier] += count
    ordered = sorted(by_tier, key=lambda tier: (-by_tier[tier], tier))
    return _Tiers(frozenset(ordered[:MOST_TIERS]) | {""})


def _sum(counts: Iterable[Mapping[tuple[str, str], int]]) -> Counter[tuple[str, str]]:
    total: Counter[tuple[str, str]] = Counter()
    for one in counts:
        total.update(one)
    return total


def _labelled(name: MetricName, counts: Iterable[tuple[tuple[str, ...], int]]) -> Iterator[Sample]:
    """One sample for each set of labels, those that became equal together."""
    total: Counter[tuple[str, ...]] = Counter()
    for labels, count in counts:
        total[labels] += count
    for labels, count in total.items():
        yield Sample(name, labels, count)
