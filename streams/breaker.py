"""A circuit breaker: after some failures in a row nobody asks for a while, then one asks first. Pure: it is told the time."""

from typing import Final

_FAILURES_TO_OPEN: Final = 5
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0


class Breaker:
    """Of one sink, for all who tell it something at once.

    Closed: everybody may. Open: nobody, until `wait_s` is over. Half open: one may, and what becomes of it decides.
    After M. Nygard, "Release It!", 2nd edition (2018), "Circuit Breaker".
    """

    def __init__(self) -> None:
        self.failing_since_s: float | None = None
        """Since when nothing was taken; None: the last call was."""
        self._failures = 0
        self._opened = 0
        self._open_until_s: float | None = None
        self._is_probed = False

    @property
    def is_open(self) -> bool:
        """Whether somebody must ask alone before everybody may again."""
        return self._open_until_s is not None

    def wait_s(self, now_s: float) -> float:
        """How long to wait before a call; 0: now. Who may, must call `began`, and then `took`, `failed` or `gave_up`."""
        if self._open_until_s is None:
            return 0.0
        if self._is_probed:
            return _FIRST_PAUSE_S
        return max(0.0, self._open_until_s - now_s)

    def began(self) -> None:
        """A call begins."""
        self._is_probed = self.is_open

    def took(self) -> None:
        """A call went through."""
        self._failures = self._opened = 0
        self._open_until_s = self.failing_since_s = None
        self._is_probed = False

    def gave_up(self) -> None:
        """A call was cut short, and says nothing."""
        self._is_probed = False

    def failed(self, now_s: float) -> bool:
        """A call failed; whether the breaker opened by it."""
        self._failures += 1
        if self.failing_since_s is None:
            self.failing_since_s = now_s
        was_open, was_probed, self._is_probed = self.is_open, self._is_probed, False
        if self._failures < _FAILURES_TO_OPEN or (was_open and not was_probed):
            return False  # what was under way when it opened fails as well: that is the same failure
        self._open_until_s = now_s + min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0**self._opened)
        self._opened = min(self._opened + 1, 10)
        return not was_open
