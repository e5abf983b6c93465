"""How much a door lets in at once. Pure: the caller brings the time."""

import math


class TokenBucket:
    """Lets in so many a second on average, and as many at once as come together in a second, at least one."""

    def __init__(self, rate_per_s: float, now_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._room = max(1.0, rate_per_s)
        self._tokens = self._room
        self._at_s = now_s

    def wait_s(self, now_s: float) -> int:
        """Whole seconds until there is a token, 0 if there is one now."""
        self._fill(now_s)
        return 0 if self._tokens >= 1 else math.ceil((1 - self._tokens) / self._rate_per_s)

    def take(self, now_s: float) -> bool:
        """Use a token, if there is one."""
        self._fill(now_s)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _fill(self, now_s: float) -> None:
        self._tokens = min(self._room, self._tokens + (now_s - self._at_s) * self._rate_per_s)
        self._at_s = now_s


class Space:
    """Bytes of memory that requests hold while they are under way; what does not fit is not let in."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.taken_bytes = 0
        self.requests = 0

    def enter(self, size_bytes: int) -> bool:
        """Take room for a request; false if there is not enough."""
        if self.taken_bytes + size_bytes > self._max_bytes:
            return False
        self.taken_bytes += size_bytes
        self.requests += 1
        return True

    def leave(self, size_bytes: int) -> None:
        """Give back what was taken."""
        self.taken_bytes -= size_bytes
        self.requests -= 1
