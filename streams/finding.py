"""What `churnwatch doctor` finds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    check: str
    good: bool
    says: str
    """What was found and, if it is not good, what to do."""
