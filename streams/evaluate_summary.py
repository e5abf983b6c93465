"""What an evaluation says, as one plain object for machines and as text for people."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from detectors.features import NAMES
from schemas.instants import format_duration, format_instant
from schemas.model_quality import BASE_RATE, RECENCY, SILENCE
from streams.evaluate import Evaluation
from streams.evaluate_bootstrap import Difference
from streams.evaluate_frames import BATCH, MODEL, SCORES, Frame
from streams.evaluate_measures import Flags, Floats, auc, brier, calibration_error, losses

GROUPS: Final = ("all", "active")
_WORDS: Final = {
    MODEL: "model",
    BATCH: "batch logistic regression, refitted weekly",
    BASE_RATE: "base rate",
    RECENCY: "recency histogram",
    SILENCE: "days silent",
}
_DIGITS: Final = 6


def groups_of(frames: Sequence[Frame]) -> dict[str, list[Frame]]:
    """The frames of all, and of the active, without those that nobody is in."""
    active = [frame.where(frame.active) for frame in frames]
    return {"all": list(frames), "active": [frame for frame in active if len(frame.codes)]}


def as_plain(found: Evaluation) -> dict[str, Any]:
    """For `--json`: all numbers; those that there are not are null. All but `cost` is the same in every run."""
    groups = groups_of(found.frames)
    plain = {
        "file": found.name,
        "events": found.activity.events,
        "left_out": found.left_out,
        "customers": len(found.activity.codes),
        "examples": found.examples,
        "features": len(NAMES),
        "horizon": format_duration(found.horizon_ms),
        "active": format_duration(found.active_ms),
        "cut_offs": len(found.frames),
        "from": format_instant(found.frames[0].cut_ms),
        "until": format_instant(found.frames[-1].cut_ms),
        "usable_share": float(np.mean([frame.usable for frame in found.frames])),
        "groups": {name: _group(frames) for name, frames in groups.items() if frames},
        "model_less_batch": _compared(found),
        "rules": [asdict(rule) for rule in found.rules],
        "break_even": found.break_even,
        "limits": [asdict(limit) for limit in found.limits],
        "cost": cost(found),
    }
    rounded: dict[str, Any] = _rounded(plain)
    return rounded


def cost(found: Evaluation) -> dict[str, float]:
    """Where the time went, in microseconds."""
    spent = found.spent
    engine_us = sum(spent.event_us) + spent.tick_s * 1e6
    return {
        "event_median_us": _median(spent.event_us),
        "engine_us_per_event": engine_us / max(1, len(spent.event_us)),
        "learn_median_us": _median(spent.learn_us),
        "learn_us_per_event": sum(spent.learn_us) / max(1, len(spent.event_us)),
    }


def _group(frames: list[Frame]) -> dict[str, Any]:
    counts = [len(frame.codes) for frame in frames]
    return {
        "customers": float(np.mean(counts)),
        "churned_share": float(np.mean([frame.churned.mean() for frame in frames])),
        "scores": {name: _score(frames, name) for name in SCORES if name in frames[0].scores},
    }


def _score(frames: list[Frame], name: str) -> dict[str, float]:
    """Means over the cut-offs; the area is that of those with both classes. The calibration is that of all together."""
    areas = over_cuts(frames, name, auc)
    found = {"auc": float(np.nanmean(areas)) if not all(map(math.isnan, areas)) else math.nan}
    if name == SILENCE:
        return found
    found["log_loss"] = float(np.mean(over_cuts(frames, name, lambda said, churned: float(losses(said, churned).mean()))))
    found["brier"] = float(np.mean(over_cuts(frames, name, brier)))
    found["calibration_error"] = calibration_error(*together(frames, name))
    return found


def over_cuts(frames: Iterable[Frame], name: str, measure: Callable[[Floats, Flags], float]) -> list[float]:
    """A measure of one score at each cut-off."""
    return [measure(frame.scores[name], frame.churned) for frame in frames]


def together(frames: Sequence[Frame], name: str) -> tuple[Floats, Flags]:
    """One score of all frames, and what happened."""
    return np.concatenate([frame.scores[name] for frame in frames]), np.concatenate([frame.churned for frame in frames])


def _compared(found: Evaluation) -> dict[str, Any] | None:
    if found.compared is None:
        return None
    pairs = zip(GROUPS, found.compared.log_loss, found.compared.auc, strict=True)
    return {group: {"log_loss": asdict(log_loss), "auc": asdict(area)} for group, log_loss, area in pairs}


def in_words(found: Evaluation) -> str:
    """For people."""
    plain = as_plain(found)
    parts = [_head(plain), *_scores(plain), _difference(found), *_rules(found), *_limits(found)]
    return "\n".join(part for part in parts if part)


def cost_in_words(found: Evaluation) -> str:
    """The one line that differs from run to run."""
    spent = cost(found)
    return (
        f"time: {spent['event_median_us']:.0f} us an event (median), "
        f"{spent['engine_us_per_event']:.0f} us with ticks, reviews and looks; "
        f"{spent['learn_median_us']:.0f} us an example learned (median), {spent['learn_us_per_event']:.0f} us an event"
    )


def _head(plain: dict[str, Any]) -> str:
    left_out = f" ({plain['left_out']} records that are none left out)" if plain["left_out"] else ""
    return (
        f"{plain['file']}: {plain['events']} events{left_out} of {plain['customers']} customers, {plain['examples']} examples "
        f"learned; horizon {plain['horizon']}, active within {plain['active']}\n"
        f"{plain['cut_offs']} cut-offs from {plain['from']} to {plain['until']}; the model might decide at "
        f"{plain['usable_share']:.0%} of them"
    )


def _scores(plain: dict[str, Any]) -> list[str]:
    lines = []
    for group, found in plain["groups"].items():
        lines.append(
            f"\n{group}: {found['customers']:.0f} customers a cut-off, {found['churned_share']:.1%} churned\n"
            f"{'':44}{'AUC':>8}{'log loss':>10}{'Brier':>8}{'calibration error':>20}"
        )
        for name, score in found["scores"].items():
            numbers = (score["auc"], score.get("log_loss"), score.get("brier"), score.get("calibration_error"))
            columns = zip(numbers, (8, 10, 8, 20), strict=True)
            lines.append(f"  {_WORDS[name]:42}" + "".join(f"{_number(value, 4):>{width}}" for value, width in columns))
    return lines


def _difference(found: Evaluation) -> str:
    if found.compared is None:
        return "\nthe comparison with a batch model needs an extra: pip install 'churnwatch[evaluate]'"
    lines = ["\nmodel less batch (standard error, bootstrap over customers)"]
    for group, log_loss, area in zip(GROUPS, found.compared.log_loss, found.compared.auc, strict=True):
        lines.append(f"  {group:8} AUC {_apart(area)}   log loss {_apart(log_loss)}")
    return "\n".join(lines)


def _apart(found: Difference) -> str:
    return f"{found.mean:+.4f} ({found.error:.4f})"


def _rules(found: Evaluation) -> list[str]:
    if not found.rules:
        return []
    lines = [f"\n{'rule':32}{'alerts':>8}{'a day':>8}{'precision':>11}{'recall':>8}{'lead days':>11}"]
    for rule in found.rules:
        numbers = f"{_number(rule.precision, 3):>11}{_number(rule.recall, 3):>8}{_number(rule.lead_days, 1):>11}"
        lines.append(f"  {rule.rule:30}{rule.alerts:>8}{rule.a_day:>8.2f}{numbers}")
    return lines


def _limits(found: Evaluation) -> list[str]:
    lines = [
        f"\nlimits of the probability; a contact pays above {found.break_even:g}, and costs are in customers saved",
        f"  {'limit':>5}{'alerts a day':>14}{'precision':>11}{'recall':>8}{'cost a day':>12}",
    ]
    for limit in found.limits:
        numbers = f"{_number(limit.precision, 3):>11}{_number(limit.recall, 3):>8}{limit.cost_a_day:>12.3f}"
        lines.append(f"  {limit.limit:>5.2f}{limit.a_day:>14.2f}{numbers}")
    return lines


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _median(numbers: Sequence[float]) -> float:
    return float(np.median(numbers)) if len(numbers) else 0.0


def _rounded(value: Any) -> Any:  # noqa: ANN401 - of a plain object
    """Six digits after the point, and null for what is no number."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    if isinstance(value, float):
        return round(value, _DIGITS) if math.isfinite(value) else None
    return value
