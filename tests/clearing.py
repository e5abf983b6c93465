"""What `clears_if` of an alert asks for, as records: nothing is known here but the alert and the rules it names."""

from collections.abc import Iterator, Sequence
from itertools import count
from math import floor
from typing import Any

from detectors.predicates import Predicate, Value
from schemas.codec import Record, convert_record
from schemas.control import FeedChanged
from schemas.decisions import AlertRecord, ClearsIf
from schemas.events import AnyEvent
from schemas.instants import DAY_MS, MINUTE_MS, exact_ms
from schemas.rule_kinds import DeclineRule, LevelRule, Rule

_ids = count()
_FIELDS: dict[str, list[dict[str, Any]]] = {
    "order.placed": [{"amount": amount} for amount in (1, 10, 100, 10_000)],
    "progress.recorded": [{"done": done} for done in (0, 0.5, 1)],
    "survey.answered": [
        {"survey": survey, "score": score, "scale_max": 10} for survey in ("csat", "nps") for score in range(11)
    ],
    "ticket.replied": [{"by": "customer"}, {"by": "agent", "public": False}, {"by": "agent"}],
    "usage.recorded": [{"outcome": outcome} for outcome in ("error", "ok")],
}
"""What a sample of a type has beside ids and an instant; of several the first that fits is taken."""


def clearing(  # noqa: PLR0911 - one return for each way to close
    alert: AlertRecord, open_alerts: Sequence[AlertRecord], rules: dict[str, Rule], at_ms: int
) -> list[Record]:
    """The records after which the alert is closed, from an instant on; the clock may have to move on to the next midnight."""
    clears_if, rule = alert.clears_if, rules.get(alert.rule.rpartition("@")[0])
    assert clears_if is not None
    match clears_if.code:
        case "event":
            return [_sample(alert, clears_if, at_ms + n) for n in range(clears_if.count or 1)]
        case "value_above" | "value_below":
            assert isinstance(rule, LevelRule)
            return [_sample(alert, clears_if, at_ms, Value(rule.value))]
        case "share_below":
            share, among = (float(clause.value) for clause in alert.because[:2])
            needed = floor(share * among / (clears_if.below or 1) - among) + 1
            return [_sample(alert, clears_if, at_ms + n * MINUTE_MS) for n in range(needed)]
        case "rate_above":
            assert isinstance(rule, DeclineRule)
            needed = floor((clears_if.above or 0) * exact_ms(rule.recent) / DAY_MS) + 1
            return [_sample(alert, clears_if, at_ms + n * MINUTE_MS) for n in range(needed)]
        case "probability_below":
            return [event(alert, "order.placed", at_ms, _FIELDS["order.placed"][0])]
        case "rules_close":
            parts = [one for one in open_alerts if one.rule.rpartition("@")[0] in clears_if.of]
            needed = len(parts) if alert.kind == "any" else 1
            return [record for part in parts[:needed] for record in clearing(part, open_alerts, rules, at_ms)]
        case "feed_live":
            return [FeedChanged(at_ms=at_ms, source=alert.feed or "", status="live", since_ms=at_ms)]
        case "window_empties" | "rate_below" | "features":
            return []  # by itself


def _sample(alert: AlertRecord, clears_if: ClearsIf, at_ms: int, value: Value | None = None) -> AnyEvent:
    """The first event of the named types for which the named predicate holds and the value is beyond the limit."""
    wanted = Predicate(clears_if.where) if clears_if.where is not None else None
    for sample in _samples(alert, clears_if.of, at_ms):
        fits = wanted is None or wanted.holds(sample) is True
        if fits and (value is None or _is_beyond(alert, clears_if, value.of(sample))):
            return sample
    raise AssertionError(f"no event is as {clears_if} asks")


def _is_beyond(alert: AlertRecord, clears_if: ClearsIf, value: float | None) -> bool:
    """Without a clear limit of its own a rule clears at the limit itself."""
    limit = clears_if.above if clears_if.above is not None else clears_if.below
    if value is None or limit is None:
        return False
    if value == limit:
        return alert.because[0].threshold == limit
    return value > limit if clears_if.above is not None else value < limit


def _samples(alert: AlertRecord, types: Sequence[str], at_ms: int) -> Iterator[AnyEvent]:
    for name in types:
        for fields in _FIELDS.get(name, [{}]):
            yield event(alert, name, at_ms, fields)


def event(alert: AlertRecord, kind: str, at_ms: int, fields: dict[str, Any]) -> AnyEvent:
    """An event of the alert's customer, ticket and contract."""
    name = f"clearing-{next(_ids)}"
    ids = dict.fromkeys(("order_id", "ticket_id", "contact_id", "contract_id", "campaign_id", "item", "feature"), name)
    subject = {"ticket_id": alert.ticket_id or name, "contract_id": alert.contract_id or name}
    common = {"type": kind, "id": name, "customer_id": alert.customer_id, "at_ms": at_ms}
    found: AnyEvent = convert_record({**common, **ids, **subject, "renews_at_ms": at_ms + 365 * DAY_MS, **fields})  # type: ignore[assignment]
    return found
