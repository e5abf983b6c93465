"""How good alerts were: those of each rule, and those that a limit of the probability would give."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.decisions import AlertRecord
from schemas.instants import DAY_MS, WEEK_MS
from schemas.rules import RuleSet
from streams.evaluate_activity import Activity, Flags, Ints, Losses
from streams.evaluate_frames import MODEL, Frame

LIMITS: Final = tuple(round(0.05 * step, 2) for step in range(1, 20))


@dataclass(frozen=True, slots=True)
class RuleFound:
    """One rule. What is NaN had nothing to be counted of."""

    rule: str
    alerts: int
    """Opened within the time that is judged."""
    a_day: float
    precision: float
    """The share that no activity followed within the horizon, or an end."""
    recall: float
    """The share of the losses that an alert came before."""
    lead_days: float
    """Median, from the first alert to the instant at which the customer counted as lost."""


@dataclass(frozen=True, slots=True)
class LimitFound:
    """A limit of the probability, crossed from one cut-off to the next."""

    limit: float
    a_day: float
    precision: float
    recall: float
    """The share of those who churned, over all cut-offs, who were above it."""
    cost_a_day: float
    """In customers saved: alerts a day, each at the break-even probability, less those that were right."""


def rules_found(
    opened: Sequence[AlertRecord], rule_set: RuleSet, activity: Activity, span_ms: tuple[int, int], horizon_ms: int
) -> list[RuleFound]:
    """Each rule of the set, by the alerts that opened in `[from, until)`; `until` is a horizon before the data ends."""
    losses = activity.losses(*span_ms, horizon_ms)
    found = []
    for rule in rule_set.rules:
        name = f"{rule.id}@"
        alerts = [alert for alert in opened if alert.rule.startswith(name) and alert.inhibited_by is None]
        found.append(_rule_found(rule.id, alerts, activity, losses, span_ms, horizon_ms))
    return found


def sweep(frames: Sequence[Frame], break_even: float) -> list[LimitFound]:
    """Every limit, from low to high.

    Who is above a limit at the first cut-off may have crossed it long before: alerts count from the second on.
    """
    days = max(1, len(frames) - 1) * WEEK_MS / DAY_MS
    churners = sum(int(frame.churned.sum()) for frame in frames)
    return [_limit_found(frames, limit, break_even, days, churners) for limit in LIMITS]


def _limit_found(frames: Sequence[Frame], limit: float, break_even: float, days: float, churners: int) -> LimitFound:
    alerts = right = caught = 0
    before = frames[0].codes if len(frames) > 1 else frames[0].codes[:0]
    for frame in frames:
        above: Flags = frame.scores[MODEL] >= limit
        caught += int((above & frame.churned).sum())
        crossed = above & ~np.isin(frame.codes, before)
        alerts += int(crossed.sum())
        right += int((crossed & frame.churned).sum())
        before = frame.codes[above]
    cost = (alerts * break_even - right) / days
    return LimitFound(limit, alerts / days, _share(right, alerts), _share(caught, churners), cost)


def _rule_found(
    rule_id: str, alerts: list[AlertRecord], activity: Activity, losses: Losses, span_ms: tuple[int, int], horizon_ms: int
) -> RuleFound:
    known = sorted((activity.codes[alert.customer_id], alert.at_ms) for alert in alerts if alert.customer_id in activity.codes)
    codes, at_ms = np.array([code for code, _ in known], np.int64), np.array([at_ms for _, at_ms in known], np.int64)
    judged = (span_ms[0] <= at_ms) & (at_ms < span_ms[1])
    count, right = int(judged.sum()), int(activity.churned(codes[judged], at_ms[judged], horizon_ms).sum())
    leads = _leads_days(codes, at_ms, losses)
    return RuleFound(
        rule=rule_id,
        alerts=count,
        a_day=count * DAY_MS / (span_ms[1] - span_ms[0]),
        precision=_share(right, count),
        recall=_share(len(leads), len(losses.codes)),
        lead_days=float(np.median(leads)) if leads else float("nan"),
    )


def _leads_days(codes: Ints, at_ms: Ints, losses: Losses) -> list[float]:
    """Of each loss that an alert came before: by how much the first one did."""
    by_code: dict[int, list[int]] = {}
    for code, opened_ms in zip(codes.tolist(), at_ms.tolist(), strict=True):
        by_code.setdefault(code, []).append(opened_ms)
    leads = []
    for code, alive_ms, lost_ms in zip(losses.codes.tolist(), losses.alive_ms.tolist(), losses.lost_ms.tolist(), strict=True):
        opened_ms = by_code.get(code, [])
        place = bisect_left(opened_ms, alive_ms)
        if place < len(opened_ms) and opened_ms[place] < lost_ms:
            leads.append((lost_ms - opened_ms[place]) / DAY_MS)
    return leads


def _share(some: int, of: int) -> float:
    return some / of if of else float("nan")
