"""The clocks of the engine: one mark per feed, moved by ticks, held while a feed is not alive."""

from collections.abc import Iterable

from detectors.state import Head
from schemas.control import FeedChanged, Tick

LIVE = "live"


class Marks:
    """Marks of the feeds, on top of the partition's record.

    A mark says: no event of that feed older than this is expected any more. It never goes back, and a feed that is
    not live keeps its mark whatever a tick says.
    """

    def __init__(self, head: Head) -> None:
        self._head = head
        self._now_ms: dict[tuple[str, ...], int | None] = {}  # as asked for since a mark last moved

    def tick(self, tick: Tick, feeds: Iterable[str]) -> bool:
        """Take a tick in; whether any mark moved. `feeds` are all that the rules know."""
        head = self._head
        moved = False
        for feed in sorted({*feeds, *tick.marks_ms}):
            mark_ms = tick.marks_ms.get(feed, tick.at_ms)  # left out: no source delivers it, so nothing can be late
            if mark_ms is None or self.status(feed) != LIVE:
                continue
            if feed not in head.marks_ms or mark_ms > head.marks_ms[feed]:
                head.marks_ms[feed] = mark_ms
                moved = True
        if moved:
            self._now_ms.clear()
        if head.tick_ms is None or tick.at_ms > head.tick_ms:
            head.tick_ms = tick.at_ms
        return moved

    def changed(self, change: FeedChanged) -> None:
        """A feed's status from here on."""
        self._head.feed_status[change.source] = change.status

    def status(self, feed: str) -> str:
        """The last status heard of; live if none was."""
        return self._head.feed_status.get(feed, LIVE)

    def now_ms(self, feeds: tuple[str, ...]) -> int | None:
        """The least mark of some feeds, None while one of them has none; of no feeds, the greatest mark of all.

        >>> marks = Marks(Head(engine=1, marks_ms={"orders": 10, "logins": 7}))
        >>> marks.now_ms(("logins", "orders")), marks.now_ms(()), marks.now_ms(("crm", "orders"))
        (7, 10, None)
        """
        try:
            return self._now_ms[feeds]
        except KeyError:
            self._now_ms[feeds] = found = self._least_ms(feeds)
            return found

    def _least_ms(self, feeds: tuple[str, ...]) -> int | None:
        marks_ms = self._head.marks_ms
        if not feeds:
            return max(marks_ms.values(), default=None)
        if any(feed not in marks_ms for feed in feeds):
            return None
        return min(marks_ms[feed] for feed in feeds)
