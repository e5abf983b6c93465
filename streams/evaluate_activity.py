"""What customers did, by customer and instant: the truth that an evaluation is held against."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.predicates import event_types
from schemas.events import Event
from schemas.rules import Churn

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

NEVER: Final = -1
"""In place of an instant: there was none."""
_BITS: Final = 43
"""Of an instant in a key: those of events end before 2**43 ms."""
MAX_CUSTOMERS: Final = 1 << 63 - _BITS
"""More have no room in a key."""


@dataclass(frozen=True, slots=True)
class Activity:
    """All signs of life and all ends of a file, whatever the order that it has them in.

    Signs are the events of `churn.of`. Where only an end is churn, every other event is one.
    """

    codes: dict[str, int]
    """Customers by name; a code is the place in `first_ms`."""
    first_ms: Ints
    signs: Ints
    """Keys, ascending: the code above the instant."""
    ends: Ints
    signs_matter: bool
    """Whether silence is churn."""
    first_event_ms: int
    last_event_ms: int
    events: int

    def last_sign_ms(self, codes: Ints, before_ms: Ints | int) -> Ints:
        """The latest sign of each customer strictly before an instant, or `NEVER`."""
        return _latest(self.signs, codes, before_ms)

    def can_churn(self, codes: Ints, at_ms: Ints | int) -> Flags:
        """Who has something to lose: known, active once, and not gone since."""
        known: Flags = self.first_ms[codes] < at_ms
        left_ms = _latest(self.ends, codes, at_ms)
        if not self.signs_matter:
            found: Flags = known & (left_ms == NEVER)
        else:
            sign_ms = self.last_sign_ms(codes, at_ms)
            found = known & (sign_ms != NEVER) & (sign_ms > left_ms)
        return found

    def churned(self, codes: Ints, at_ms: Ints | int, horizon_ms: int) -> Flags:
        """The label: no sign, or an end, within `[at_ms, at_ms + horizon_ms)`."""
        until_ms = at_ms + horizon_ms
        left: Flags = _latest(self.ends, codes, until_ms) >= at_ms
        return left | (self.last_sign_ms(codes, until_ms) < at_ms) if self.signs_matter else left

    def losses(self, from_ms: int, until_ms: int, horizon_ms: int) -> "Losses":
        """Each time that a customer was lost; those whose last sign of life, or end, lies in `[from_ms, until_ms)`."""
        silent_codes, silent_ms = self._silences(horizon_ms) if self.signs_matter else (_array([]), _array([]))
        end_codes, end_ms = _taken_apart(self.ends)
        before_ms = self.last_sign_ms(end_codes, end_ms)
        since_ms = np.where(before_ms == NEVER, self.first_ms[end_codes], before_ms)
        codes = np.concatenate([silent_codes, end_codes])
        when_ms = np.concatenate([silent_ms, end_ms])
        chosen = (from_ms <= when_ms) & (when_ms < until_ms)
        alive_ms = np.concatenate([silent_ms, since_ms])[chosen]
        return Losses(codes[chosen], alive_ms, np.concatenate([silent_ms + horizon_ms, end_ms])[chosen])

    def _silences(self, horizon_ms: int) -> tuple[Ints, Ints]:
        """The signs that none followed for a horizon, nor an end."""
        codes, at_ms = _taken_apart(self.signs)
        followed = (codes[1:] == codes[:-1]) & (at_ms[1:] - at_ms[:-1] < horizon_ms)
        lost = ~np.append(followed, np.zeros(min(1, len(codes)), np.bool_))
        lost &= _latest(self.ends, codes, at_ms + horizon_ms) < at_ms
        return codes[lost], at_ms[lost]


@dataclass(frozen=True, slots=True)
class Losses:
    """Arrays that belong together, one entry a loss."""

    codes: Ints
    alive_ms: Ints
    """The last sign of life before it."""
    lost_ms: Ints
    """The end, or one horizon after the last sign."""


def activity_of(events: Iterable[Event], churn: Churn) -> Activity:
    """Read a file to its end.

    Raises:
        ValueError: there is no event, or there are more than `MAX_CUSTOMERS`.
    """
    of, ends_with = event_types(churn.of), event_types(churn.or_)
    codes: dict[str, int] = {}
    first: list[int] = []
    signs: list[int] = []
    ends: list[int] = []
    count, earliest, latest = 0, 1 << _BITS, NEVER
    for event in events:
        at_ms = event.at_ms
        code = codes.setdefault(event.customer_id, len(first))
        if code == len(first):
            first.append(at_ms)
        first[code] = min(first[code], at_ms)
        if event.type in ends_with:
            ends.append(code << _BITS | at_ms)
        elif not of or event.type in of:
            signs.append(code << _BITS | at_ms)
        count, earliest, latest = count + 1, min(earliest, at_ms), max(latest, at_ms)
    if not count or len(first) > MAX_CUSTOMERS:
        raise ValueError(
            f"{len(first)} customers: 1 to {MAX_CUSTOMERS} can be evaluated at once" if count else "there is no event"
        )
    return Activity(codes, _array(first), _sorted(signs), _sorted(ends), bool(of), earliest, latest, count)


def _array(numbers: list[int]) -> Ints:
    return np.array(numbers, np.int64)


def _sorted(numbers: list[int]) -> Ints:
    return np.sort(_array(numbers))


def _latest(keys: Ints, codes: Ints, before_ms: Ints | int) -> Ints:
    own = codes << _BITS
    place = np.searchsorted(keys, own + before_ms) - 1
    found = keys[np.maximum(place, 0)] if len(keys) else np.zeros(len(codes), np.int64)
    return np.where((place >= 0) & (found >= own) & (len(keys) > 0), found - own, NEVER)


def _taken_apart(keys: Ints) -> tuple[Ints, Ints]:
    return keys >> _BITS, keys & ((1 << _BITS) - 1)
