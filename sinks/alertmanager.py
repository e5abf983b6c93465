"""Alerts to a Prometheus Alertmanager, which forgets what is not posted again: so what is open is repeated."""

import asyncio
import dataclasses
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from schemas.decisions import AlertRecord
from schemas.secret import Secret
from sinks.alertmanager_alerts import Postable, Words, ended, is_open, postable
from sinks.base import Delivery, Forgotten, SinkError
from sinks.http_calls import CallTerms, HttpCaller
from sinks.redaction import ALL_OF_IT, Redaction, redacted

_PATH: Final = "/api/v2/alerts"
_HEADERS: Final = {"Content-Type": "application/json"}
_AT_ONCE: Final = 500
_ENDED_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class AlertmanagerTerms:
    """What the sink is made of; the address is that of its pages, without the path of the API."""

    call: CallTerms
    redaction: Redaction = ALL_OF_IT
    link: str = ""
    """Where an alert is looked at, with `{alert_id}` and `{customer_id}` to be filled in; empty: nowhere."""


@dataclass(frozen=True, slots=True)
class _Open:
    """What Alertmanager was told last of an alert that is open."""

    sequence: int
    at_ms: int
    posted: Postable


@dataclass(frozen=True, slots=True)
class _Change:
    """What a record changes there: these are posted together, and then it is known as open, or as ended."""

    index: int
    """Of the record in its batch."""
    alert_id: str
    sequence: int
    posts: tuple[Postable, ...]
    open: _Open | None


class AlertmanagerSink:
    """A `StandingSink`. Alertmanager keeps the last word on each alert, so posting it again changes nothing.

    One entry is kept for each open alert, and of those that ended the sequences of the last ten thousand.
    """

    repeat_every_s: float = 60.0
    """Alertmanager believes an alert for `resolve_timeout`: five minutes, unless it is set otherwise."""

    def __init__(self, name: str, terms: AlertmanagerTerms, words: Words) -> None:
        """Raises ValueError for an address that may not be called."""
        self.name = name
        address = Secret(terms.call.url.reveal().rstrip("/") + _PATH, terms.call.url.stands_in)
        self._caller = HttpCaller(dataclasses.replace(terms.call, url=address))
        self._redaction, self._words, self._link = terms.redaction, words, terms.link
        self._open: dict[str, _Open] = {}
        self._ended: OrderedDict[str, int] = OrderedDict()
        # What is repeated while its end is on the way would be open again.
        self._one_at_a_time = asyncio.Lock()

    async def deliver(self, records: Sequence[Delivery]) -> None:
        """Post how the alerts of a batch stand at its end.

        Raises:
            SinkError: Alertmanager is not there, or an operator has something to mend: the batch may be sent again. Or it
                will never take some of the alerts, and has all others.
        """
        async with self._one_at_a_time:
            changes = list(self._changes(records))
            refused = await self._post([change.posts for change in changes])
            for number, change in enumerate(changes):
                if number not in refused:
                    self._remember(change)
        if refused:
            said = next(iter(refused.values()))
            raise SinkError(said, retryable=False, refused=tuple(changes[number].index for number in refused))

    async def resume(self, alerts: Sequence[AlertRecord]) -> None:
        """Know alerts that Alertmanager was told of before; the next `repeat` tells them."""
        for record in alerts:
            if is_open(record):
                self._open[record.alert_id] = self._as_open(redacted(record, self._redaction))

    async def repeat(self) -> None:
        """Post again all that is open.

        Raises:
            SinkError: Alertmanager does not take it; the next `repeat` tells it.
        """
        ids = list(self._open)
        refused: dict[int, str] = {}
        for first in range(0, len(ids), _AT_ONCE):
            async with self._one_at_a_time:
                still_open = [self._open[one] for one in ids[first : first + _AT_ONCE] if one in self._open]
                refused |= await self._post([(one.posted,) for one in still_open])
        if refused:
            raise SinkError(next(iter(refused.values())), retryable=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._caller.close()

    def _changes(self, records: Sequence[Delivery]) -> Iterator[_Change]:
        """Of each alert the last change alone: what came before is over already."""
        last: dict[str, tuple[int, AlertRecord | Forgotten]] = {}
        for index, record in enumerate(records):
            if isinstance(record, AlertRecord | Forgotten) and record.alert_id:
                last[record.alert_id] = index, record
        for index, record in last.values():
            change = self._forgetting(index, record) if isinstance(record, Forgotten) else self._change(index, record)
            if change is not None:
                yield change

    def _change(self, index: int, record: AlertRecord) -> _Change | None:
        alert_id, before = record.alert_id, self._open.get(record.alert_id)
        known = before.sequence if before else self._ended.get(alert_id, 0)
        if record.sequence <= known or record.state == "warned":
            return None
        now = self._as_open(redacted(record, self._redaction))
        posts: tuple[Postable, ...] = (now.posted,)
        if before and before.posted["labels"] != now.posted["labels"]:
            # With another owner it is another alert there, and the one before has to end.
            posts = (ended(before.posted, max(before.at_ms, now.at_ms)), now.posted)
        return _Change(index, alert_id, record.sequence, posts, now if is_open(record) else None)

    def _forgetting(self, index: int, forgotten: Forgotten) -> _Change | None:
        before = self._open.get(forgotten.alert_id)
        if before is None:
            return None
        return _Change(index, forgotten.alert_id, before.sequence, (ended(before.posted, before.at_ms),), None)

    def _as_open(self, record: AlertRecord) -> _Open:
        return _Open(record.sequence, record.at_ms, postable(record, self._words, self._link))

    def _remember(self, change: _Change) -> None:
        if change.open is not None:
            self._open[change.alert_id] = change.open
            self._ended.pop(change.alert_id, None)
            return
        self._open.pop(change.alert_id, None)
        self._ended[change.alert_id] = change.sequence
        if len(self._ended) > _ENDED_KEPT:
            self._ended.popitem(last=False)

    async def _post(self, groups: Sequence[tuple[Postable, ...]]) -> dict[int, str]:
        """Post so many at once; the numbers of the groups that are refused, with what Alertmanager says.

        Of several it does not say which it refuses (it takes the others), so they are posted one by one.
        """
        refused: dict[int, str] = {}
        for first in range(0, len(groups), _AT_ONCE):
            some = groups[first : first + _AT_ONCE]
            said = await self._refusal(some)
            if said is None:
                continue
            for number, group in enumerate(some, first):
                alone = said if len(some) == 1 else await self._refusal([group])
                if alone is not None:
                    refused[number] = alone
        return refused

    async def _refusal(self, groups: Sequence[tuple[Postable, ...]]) -> str | None:
        try:
            await self._caller.post(msgspec.json.encode([one for group in groups for one in group]), _HEADERS)
        except SinkError as error:
            if error.retryable:
                raise
            return str(error)
        return None
