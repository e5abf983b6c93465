"""From features to a risk: plain floats, the same in every partition and every replay."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter, mul
from typing import Final, Self

import msgspec

from detectors.bands import BandLimits
from detectors.features import FEATURES, NAMES, by_name
from detectors.risk_state import Basis, RiskState
from detectors.standardising import signed_logs, standardised
from detectors.state import Customer
from schemas.decisions import Band, RiskReason, RiskRecord
from schemas.errors import ContractError
from schemas.instants import exact_ms
from schemas.model_quality import ScoreSpread
from schemas.models import FORMAT, ModelDocument
from schemas.rule_kinds import Severity
from schemas.rules import Bands, RuleSet

MOVED_BY: Final = 0.05
"""A probability that differs this much from the last one sent is news."""
MAX_REASONS: Final = 5
_LEAST_CONTRIBUTION: Final = 0.01
"""In log odds: what adds less is no reason."""
_GROUPS: Final = {
    about: [place for place, feature in enumerate(FEATURES) if feature.about == about]
    for about in dict.fromkeys(feature.about for feature in FEATURES)
}
"""Places of the features that tell of the same."""
_SEVERE: Final = frozenset[Severity]({"high", "critical"})


class Scorer:
    """A published model, made ready."""

    def __init__(self, document: ModelDocument, version: str) -> None:
        self.document = document
        self.version = version
        self._log = document.transform == "signed_log"
        self._clip = math.inf if document.clip is None else document.clip
        by_place = {
            NAMES.index(name): (mean, 1.0 / scale, weight)
            for name, mean, scale, weight in zip(
                document.features, document.mean, document.scale, document.weights, strict=True
            )
            if scale > 0 and weight  # a feature that never varied says nothing
        }
        self._places = sorted(by_place)
        self._heard = _picker(self._places)
        self._means = [by_place[place][0] for place in self._places]
        self._inverse = [by_place[place][1] for place in self._places]
        """Of the standard deviations."""
        self._weights = [by_place[place][2] for place in self._places]

    @classmethod
    def of(cls, document: ModelDocument, version: str) -> Self:
        """Make a model ready.

        Raises:
            ContractError: it is of a newer format, needs a feature that this release does not have, or a number in it is not
                finite.
        """
        if document.format > FORMAT:
            raise ContractError(
                "bad_model", f"the model has format {document.format}; this release reads formats up to {FORMAT}"
            )
        unknown = [name for name in document.features if name not in NAMES]
        if unknown:
            raise ContractError("bad_model", f"the model needs the feature {unknown[0]!r}, which this release does not have")
        numbers = [document.intercept, *document.mean, *document.scale, *document.weights]
        if not all(math.isfinite(number) for number in numbers):
            raise ContractError("bad_model", "a weight, mean or scale of the model is not a finite number")
        found = cls(document, version)
        if not all(map(math.isfinite, map(mul, found._inverse, found._weights))):
            raise ContractError("bad_model", "a scale of the model is too small for its weight")
        return found

    def may_decide(self, horizon_ms: int) -> bool:
        """Whether it has learned enough, and for the same horizon."""
        return self.document.usable and self.document.horizon_ms == horizon_ms

    def probability(self, values: Sequence[float]) -> float:
        """Of churn within the horizon, for features in the order of the table."""
        return sigmoid(sum(self._contributions(values)) + self.document.intercept)

    def reasons(self, values: Sequence[float]) -> list[RiskReason]:
        """What raises the log odds above those of the average customer, the most first.

        Features of one group say nearly the same and share what they add, or take it from each other: they are one reason,
        that of the feature that adds the most.
        """
        added = dict(zip(self._places, self._contributions(values), strict=True))
        found = []
        for about, places in _GROUPS.items():
            heard = [place for place in places if place in added]
            leading, total = max(heard, key=lambda place: added[place], default=-1), sum(added[place] for place in heard)
            if heard and min(total, added[leading]) >= _LEAST_CONTRIBUTION:
                found.append((total, leading, about))
        found.sort(key=lambda one: (-one[0], one[1]))
        return [
            RiskReason(feature=NAMES[leading], value=values[leading], contribution=total, about=about)
            for total, leading, about in found[:MAX_REASONS]
        ]

    def _contributions(self, values: Sequence[float]) -> Iterator[float]:
        """To the log odds, of the features that have a weight."""
        heard = self._heard(values)
        seen = signed_logs(heard) if self._log else heard
        return map(mul, self._weights, standardised(seen, self._means, self._inverse, self._clip))


def _picker(places: Sequence[int]) -> Callable[[Sequence[float]], Sequence[float]]:
    """The values at some places."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: [values[place] for place in places]


def sigmoid(log_odds: float) -> float:
    """The probability that belongs to some log odds; finite for any of them."""
    if log_odds >= 0:
        return 1.0 / (1.0 + math.exp(-min(log_odds, 700.0)))
    odds = math.exp(max(log_odds, -700.0))
    return odds / (1.0 + odds)


class Assessment(msgspec.Struct, frozen=True):
    """What one look found."""

    at_ms: int
    band: Band
    basis: Basis
    values: tuple[float, ...]
    probability: float | None = None
    scorer: Scorer | None = None
    """The model that the probability is from."""

    def reasons(self) -> list[RiskReason]:
        """What raises the probability; most looks tell nothing, and nobody asks."""
        return self.scorer.reasons(self.values) if self.scorer is not None else []


class RiskPolicy:
    """How a rule set wants risk to be told.

    Args:
        bands: where they begin.
        horizon_ms: of the churn that the model must predict.
        spread: of the model's scores, for bands by volume.
    """

    def __init__(self, bands: Bands, horizon_ms: int, spread: ScoreSpread | None = None) -> None:
        self._bands = BandLimits(bands, spread)
        self._horizon_ms = horizon_ms

    @classmethod
    def of(cls, rule_set: RuleSet, scorer: Scorer | None) -> Self | None:
        """The policy of a rule set and a model; None without a `churn` section: there is no risk to speak of."""
        if rule_set.churn is None:
            return None
        spread = scorer.document.score_spread if scorer is not None else None
        return cls(rule_set.bands, exact_ms(rule_set.churn.horizon), spread)

    def assess(
        self,
        values: tuple[float, ...],
        at_ms: int,
        scorer: Scorer | None,
        open_severities: Iterable[Severity],
        worth: float | None = None,
    ) -> Assessment:
        """Look at a customer, who is worth so much, by the model if it may decide, else by the alerts that are open."""
        if scorer is None or not scorer.may_decide(self._horizon_ms):
            return Assessment(at_ms, _band_of_alerts(open_severities), "rules", values)
        probability = scorer.probability(values)
        return Assessment(at_ms, self._bands.band_of(probability, worth), "model", values, probability, scorer)

    def tell(self, customer: Customer, found: Assessment) -> RiskRecord | None:
        """The record of a look, if it is news; the customer then remembers it as told."""
        told = customer.risk
        if told.sequence > 0 and not _is_news(told, found):
            return None
        told = customer.risk = RiskState(told.sequence + 1, found.probability, found.band, found.basis)
        return RiskRecord(
            customer_id=customer.id,
            sequence=told.sequence,
            at_ms=found.at_ms,
            probability=found.probability,
            band=found.band,
            basis=found.basis,
            reasons=found.reasons(),
            features=by_name(found.values),
            model=found.scorer.version if found.scorer is not None else None,
            tier=customer.tier,
            owner=customer.owner,
            value=customer.value,
        )


def _band_of_alerts(open_severities: Iterable[Severity]) -> Band:
    """Rules never say `critical`: that word is the model's."""
    severities = frozenset(open_severities)
    if severities & _SEVERE:
        return "high"
    return "elevated" if severities else "low"


def _is_news(told: RiskState, found: Assessment) -> bool:
    if told.about_changed or (told.band, told.basis) != (found.band, found.basis):
        return True
    if told.probability is None or found.probability is None:
        return told.probability is not found.probability
    return abs(found.probability - told.probability) >= MOVED_BY
