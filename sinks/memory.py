"""A sink that remembers: for tests, dry runs, and as the plainest statement of what profiles and lists are."""

from collections import defaultdict
from collections.abc import Sequence

from sinks.base import Delivery
from sinks.profiles import LATEST, OPEN_ALERTS, Change, Listed, Ranked, Removal, alert_field, change_of


class MemorySink:
    """Profiles and lists in dictionaries."""

    name = "memory"

    def __init__(self) -> None:
        self.profiles: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self.ranked: dict[str, Ranked] = {}
        """By customer."""
        self.open: dict[tuple[str, str], Listed] = {}
        """By alert and customer."""
        self.latest: list[tuple[str, str]] = []
        """The last alerts that were told: alert, record."""

    async def deliver(self, records: Sequence[Delivery]) -> None:
        """Never fails."""
        for record in records:
            match change_of(record):
                case Change() as change:
                    self._apply(change, self.profiles[change.customer_id])
                case Removal() as removal:
                    self._remove(removal)
                case None:
                    pass

    async def close(self) -> None:
        """Nothing to let go of."""

    def _apply(self, change: Change, profile: dict[str, str]) -> None:
        if int(profile.get(change.sequence_field, "0")) >= change.sequence:
            return
        profile[change.sequence_field] = str(change.sequence)
        before = len(profile)
        profile.update(change.fields)
        for name in change.removed:
            profile.pop(name, None)
        match change.lists:
            case Ranked() as ranked:
                self.ranked[change.customer_id] = ranked
            case Listed() as listed:
                profile[OPEN_ALERTS] = str(int(profile.get(OPEN_ALERTS, "0")) + len(profile) - before)
                self._list(change.customer_id, listed)
            case None:
                pass

    def _list(self, customer_id: str, listed: Listed) -> None:
        self.open.pop((listed.alert_id, customer_id), None)
        if listed.is_open:
            self.open[listed.alert_id, customer_id] = listed
        self.latest = [*self.latest, (listed.alert_id, listed.record)][-LATEST:]

    def _remove(self, removal: Removal) -> None:
        customer_id, profile = removal.customer_id, self.profiles.get(removal.customer_id, {})
        for name in removal.fields:
            profile.pop(name, None)
        if removal.what == "risk":
            self.ranked.pop(customer_id, None)
        if removal.what == "alert":
            self.open.pop((removal.alert_id, customer_id), None)
            self.latest = [one for one in self.latest if one[0] != removal.alert_id]
            if profile.pop(alert_field(removal.alert_id), None) is not None:
                profile[OPEN_ALERTS] = str(int(profile[OPEN_ALERTS]) - 1)
        if profile in ({}, {OPEN_ALERTS: "0"}):
            self.profiles.pop(customer_id, None)
