"""A sink that remembers: for tests, dry runs, and as the plainest statement of what a profile is."""

from collections import defaultdict
from collections.abc import Sequence

from sinks.base import Delivery
from sinks.profiles import OPEN_ALERTS, Change, Removal, change_of


class MemorySink:
    """Profiles in a dictionary."""

    name = "memory"

    def __init__(self) -> None:
        self.profiles: defaultdict[str, dict[str, str]] = defaultdict(dict)

    async def deliver(self, records: Sequence[Delivery]) -> None:
        """Never fails."""
        for record in records:
            match change_of(record):
                case Change() as change:
                    _apply(change, self.profiles[change.customer_id])
                case Removal() as removal:
                    _remove(removal, self.profiles)
                case None:
                    pass

    async def close(self) -> None:
        """Nothing to let go of."""


def _apply(change: Change, profile: dict[str, str]) -> None:
    if int(profile.get(change.sequence_field, "0")) >= change.sequence:
        return
    profile[change.sequence_field] = str(change.sequence)
    before = len(profile)
    profile.update(change.fields)
    for name in change.removed:
        profile.pop(name, None)
    if change.counts:
        grown = len(profile) - before
        profile[OPEN_ALERTS] = str(int(profile.get(OPEN_ALERTS, "0")) + grown)


def _remove(removal: Removal, profiles: dict[str, dict[str, str]]) -> None:
    profile = profiles.get(removal.customer_id, {})
    for name in removal.fields:
        profile.pop(name, None)
    if removal.alert is not None and profile.pop(removal.alert, None) is not None:
        profile[OPEN_ALERTS] = str(int(profile[OPEN_ALERTS]) - 1)
    if profile in ({}, {OPEN_ALERTS: "0"}):
        profiles.pop(removal.customer_id, None)
