"""From which probability on a risk band begins: a number, what a contact costs, or how many there may be in a day."""

from collections.abc import Callable
from typing import Final

from schemas.decisions import Band
from schemas.model_quality import ScoreSpread
from schemas.rules import BandAt, Bands

_NEVER: Final = 2.0
"""A limit that no probability reaches."""
Limit = Callable[[float | None], float]
"""Of the value of a customer; None: nobody has said it."""


class BandLimits:
    """The bands of a rule set under one model.

    Args:
        bands: as the rules file says.
        spread: of the model's scores; None: a band by volume never begins.
    """

    def __init__(self, bands: Bands, spread: ScoreSpread | None) -> None:
        by_band: tuple[tuple[Band, float | BandAt], ...] = (
            ("critical", bands.critical),
            ("high", bands.high),
            ("elevated", bands.elevated),
        )
        self._limits = [(band, _limit(at, spread)) for band, at in by_band]

    def band_of(self, probability: float, value: float | None) -> Band:
        """The highest band that a probability reaches."""
        return next((band for band, limit in self._limits if probability >= limit(value)), "low")


def _limit(at: float | BandAt, spread: ScoreSpread | None) -> Limit:
    if not isinstance(at, BandAt):
        return lambda _value: at
    if at.top is not None:
        fixed = _by_volume(at.top, spread)
        return lambda _value: fixed
    contact, saves, worth = at.contact or 0.0, at.saves or 1.0, at.value
    return lambda value: _break_even(contact, saves, worth if worth is not None else value)


def _by_volume(top: int, spread: ScoreSpread | None) -> float:
    """The score that so many of the active who are reviewed in a day reach."""
    if spread is None or not spread.quantiles:
        return _NEVER
    steps = len(spread.quantiles) - 1
    share = min(1.0, top / max(spread.per_day, 1e-9))
    place = (1.0 - share) * steps
    below = int(place)
    if below >= steps:
        return spread.quantiles[-1]
    low, high = spread.quantiles[below : below + 2]
    return low + (place - below) * (high - low)


def _break_even(contact: float, saves: float, worth: float | None) -> float:
    """A contact pays from the probability on at which what it saves on average is what it costs."""
    if worth is None or worth <= 0.0:
        return _NEVER
    return contact / (saves * worth)
