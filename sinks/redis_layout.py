"""The keys in Redis, version 1: README, "The read model in Redis". Other programs read them."""

from dataclasses import dataclass
from typing import Final

VERSION: Final = "1"
"""Of the layout: raised when a reader of the old one would read the new one wrongly."""
PREFIX: Final = "churn:"
POSITION: Final = "position:"
"""Fields of the layout that begin so say up to where a partition was read."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Names of keys. One installation has one Redis database, or a prefix of its own."""

    prefix: str = PREFIX

    @property
    def layout(self) -> str:
        """A hash: version, run, positions."""
        return self.prefix + "layout"

    @property
    def rebuilding(self) -> str:
        """Says who makes everything anew; expires when nobody does any more."""
        return self.prefix + "rebuilding"

    @property
    def profiles(self) -> str:
        """Begins the key of each profile, a hash."""
        return self.prefix + "profile:"

    def profile(self, customer_id: str) -> str:
        """Of a customer."""
        return self.profiles + customer_id

    @property
    def lists(self) -> "Lists":
        """Those that readers see."""
        return Lists(self.prefix)

    @property
    def new_lists(self) -> "Lists":
        """Those that a rebuild makes, to be put in place of the others."""
        return Lists(self.prefix + "new:")


@dataclass(frozen=True, slots=True)
class Lists:
    """Names of the sorted sets and the stream."""

    prefix: str

    @property
    def risk(self) -> str:
        """Customers by probability."""
        return self.prefix + "risk"

    @property
    def ranking(self) -> str:
        """Customers by `ranking.rank`."""
        return self.prefix + "ranking"

    def ranking_of(self, owner: str) -> str:
        """The same, of an owner."""
        return f"{self.ranking}:{owner}"

    @property
    def alerts(self) -> str:
        """Open alerts by the instant they were due: `<alert_id> <customer_id>`."""
        return self.prefix + "alerts"

    def alerts_of(self, owner: str) -> str:
        """The same, of an owner."""
        return f"{self.alerts}:owner:{owner}"

    def alerts_at(self, severity: str) -> str:
        """The same, of a severity."""
        return f"{self.alerts}:severity:{severity}"

    @property
    def latest(self) -> str:
        """A stream of the last records of alerts."""
        return self.prefix + "latest"

    def patterns(self) -> tuple[str, ...]:
        """Which keys these are, all of them, as Redis writes patterns."""
        return self.risk, self.ranking, f"{self.ranking}:*", self.alerts, f"{self.alerts}:*", self.latest
