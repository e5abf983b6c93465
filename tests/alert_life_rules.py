"""The rules of `test_alert_life_machine.py`: what each promises, in hours, and the rule sets that say so."""

from collections.abc import Sequence

from alert_life_model import Promise
from engine_run import rule_set

from schemas.rule_kinds import AbsenceRule, LevelRule
from schemas.rules import RuleSet

PROMISES = {
    "low": Promise(ack_by=3, expire_after=20),
    "low-for-long": Promise(dwell=2, cooldown=5, ack_by=4, expire_after=9),
    "low-of-vips": Promise(ack_by=2, expire_after=9, tier="vip"),
    "quiet": Promise(ack_by=3, expire_after=12, cooldown=6),
}


def rules_with(rule_ids: Sequence[str], patience: int, revision: int) -> RuleSet:
    """These rules, as their promises say."""
    made = [_quiet(patience, revision) if name == "quiet" else _low(name, revision) for name in PROMISES if name in rule_ids]
    return rule_set(*made, version=str(revision))


def _terms(rule_id: str, revision: int) -> dict[str, object]:
    promise = PROMISES[rule_id]
    lengths = {name: getattr(promise, name) for name in ("dwell", "cooldown", "ack_by", "expire_after")}
    return {
        "id": rule_id,
        "version": str(revision),
        "tiers": None if promise.tier is None else [promise.tier],
        **{name: f"PT{hours}H" for name, hours in lengths.items() if hours},
    }


def _low(rule_id: str, revision: int) -> LevelRule:
    fields = {"of": ["survey.answered"], "value": "event.score", "below": 3.0}
    return LevelRule(**fields, **_terms(rule_id, revision))  # type: ignore[arg-type]


def _quiet(patience: int, revision: int) -> AbsenceRule:
    return AbsenceRule(of=["order.placed"], for_=f"PT{patience}H", **_terms("quiet", revision))  # type: ignore[arg-type]
