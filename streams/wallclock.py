"""The wall clock of the shell: the only module that may ask the machine what time it is."""

import time


def now_ns() -> int:
    """Nanoseconds since 1970-01-01T00:00:00Z, as spans want them."""
    return time.time_ns()


def now_ms() -> int:
    """Milliseconds since 1970-01-01T00:00:00Z; it may step backwards when the machine's clock is set.

    Time-outs use `time.monotonic` instead.
    """
    return now_ns() // 1_000_000
