"""The rules files that come along: each loads, and each of its rules fires in a story of its own; the packs beside that
explain themselves, and leave a healthy customer alone."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_run import EngineRun
from pack_stories import END_MS, KNOWN_SINCE_MS, event, story, with_a_model, with_ticks

from detectors.predicates import event_types
from schemas.decisions import CLOSED_STATES, AlertRecord
from schemas.events import EVENT_TYPES, AnyEvent
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS
from schemas.rule_kinds import Rule, SlaRule
from schemas.rules import RuleSet
from streams.rules_file import load_rules

FOLDER = Path(__file__).parents[2] / "deploy" / "rules"
PACKS = ("ecommerce", "saas", "education", "b2b")
NEEDS = {
    "no order for 90 days": ("ecommerce", "no-order-90d"),
    "no order for three calendar months": ("b2b", "no-order-three-months"),
    "a first purchase without a second": ("ecommerce", "no-second-purchase"),
    "longer silent than the customer's own rhythm": ("ecommerce", "own-rhythm"),
    "no answer after our contact": ("saas", "no-answer-to-contact"),
    "a reply later than 24 hours": ("ecommerce", "reply-24h"),
    "a burst of complaints": ("ecommerce", "complaint-burst"),
    "satisfaction is low": ("ecommerce", "low-csat"),
    "the customer would not recommend us": ("saas", "nps-low"),
    "too many tickets unresolved": ("saas", "unresolved-rate"),
    "a large account orders less often": ("b2b", "orders-down"),
    "a large account orders more often": ("b2b", "orders-up"),
    "renewal within 30 days and low usage": ("saas", "renewal-low-usage"),
    "fewer features used": ("saas", "fewer-features"),
    "errors in use": ("saas", "errors-in-use"),
    "the progress of a course has stalled": ("education", "course-stalled"),
    "the handoff from sales to service is missing": ("b2b", "handoff-missing"),
    "a satisfaction visit is due": ("education", "satisfaction-visit-due"),
    "no part in campaigns": ("ecommerce", "no-part-in-campaigns"),
    "the model says that the risk is high": ("ecommerce", "model-risk-high"),
    "several signs together": ("b2b", "account-in-danger"),
}
CHINESE = re.compile(r"[\u4e00-\u9fff]")
LATIN_WORDS = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,}")


def rules_of(pack: str) -> RuleSet:
    return load_rules(FOLDER / f"{pack}.yaml")


LOADED = {name: rules_of(name) for name in (*PACKS, "example", "demo")}
EVERY_RULE = [(name, rule.id) for name, rules in LOADED.items() for rule in rules.rules]
RULES_OF_PACKS = [(pack, rule_id) for pack, rule_id in EVERY_RULE if pack in PACKS]


def rule_of(pack: str, rule_id: str) -> Rule:
    return next(rule for rule in LOADED[pack].rules if rule.id == rule_id)


def alerts_of(pack: str, rule_id: str) -> list[AlertRecord]:
    """What a rule's own story makes the rule say."""
    rules, rule = LOADED[pack], rule_of(pack, rule_id)
    happened = story(rule, rules)
    records = with_a_model(happened, rules) if rule.kind == "score" else with_ticks(happened)
    return [alert for alert in EngineRun(rules).feed(*records).alerts if alert.rule.startswith(f"{rule_id}@")]


def still_open(alerts: list[AlertRecord]) -> list[AlertRecord]:
    return [alert for alert in {alert.alert_id: alert for alert in alerts}.values() if alert.state not in CLOSED_STATES]


@pytest.mark.parametrize(("pack", "rule_id"), EVERY_RULE)
def test_every_rule_fires_in_a_story_of_its_own(pack: str, rule_id: str) -> None:
    alerts = alerts_of(pack, rule_id)

    assert "opened" in {alert.state for alert in alerts}
    assert still_open(alerts)
    assert all(alert.because for alert in alerts if alert.state in {"warned", "opened"})


@pytest.mark.parametrize(("pack", "rule_id"), [(pack, name) for pack, name in EVERY_RULE if rule_of(pack, name).kind == "sla"])
def test_every_target_that_any_customer_has_is_missed_by_a_ticket_that_nobody_answers(pack: str, rule_id: str) -> None:
    rule = rule_of(pack, rule_id)
    assert isinstance(rule, SlaRule)

    opened = [alert.ticket_id for alert in alerts_of(pack, rule_id) if alert.state == "opened"]
    assert len(opened) == len(set(opened)) == len([target for target in rule.targets if target.tier is None])


@pytest.mark.parametrize("pack", PACKS)
def test_a_customer_with_whom_all_is_well_is_left_alone(pack: str) -> None:
    delivered = event_types([pattern for feed in LOADED[pack].feeds.values() for pattern in feed.types])
    happened = sorted((one for one in good_times() if one.type in delivered), key=lambda one: one.at_ms)

    alerts = EngineRun(LOADED[pack]).feed(*with_ticks(happened)).alerts

    assert [f"{alert.state} {alert.rule}" for alert in alerts if alert.mode == "live"] == []


def good_times() -> Iterator[AnyEvent]:
    """Regular orders, lessons and use, quick answers, good scores; a contract that was renewed in time."""
    yield event("customer.updated", KNOWN_SINCE_MS, tier="key")
    yield event("contract.set", KNOWN_SINCE_MS, contract_id="c", renews_at_ms=KNOWN_SINCE_MS + 300 * DAY_MS)
    yield event("contract.renewed", KNOWN_SINCE_MS + 200 * DAY_MS, contract_id="c", renews_at_ms=END_MS + 300 * DAY_MS)
    for day, at_ms in enumerate(range(KNOWN_SINCE_MS, END_MS - DAY_MS, DAY_MS)):
        yield event("login.succeeded", at_ms)
        for number in range(4):
            yield event("usage.recorded", at_ms, number, outcome="ok")
        if day % 3 == 0:
            yield event("progress.recorded", at_ms, item=f"course-{day // 90}", done=day % 90 / 90)
        if day % 7 == 0:
            yield event("order.placed", at_ms)
            yield event("contact.made", at_ms + MINUTE_MS)
            yield event("contact.replied", at_ms + 2 * HOUR_MS)
        if day % 14 == 0:
            yield event("campaign.engaged", at_ms + HOUR_MS)
            yield event("survey.answered", at_ms + HOUR_MS, survey="csat", score=5.0, scale_max=5.0)
            yield event("survey.answered", at_ms + HOUR_MS, 1, survey="nps", score=9.0, scale_max=10.0)
            yield from answered_ticket(at_ms + 2 * HOUR_MS)


def answered_ticket(at_ms: int) -> Iterator[AnyEvent]:
    ticket = event("ticket.opened", at_ms, category="question")
    yield ticket
    for i, by in enumerate(("agent", "customer", "agent"), 1):
        yield event("ticket.replied", at_ms + i * 10 * MINUTE_MS, i, ticket_id=ticket.id, by=by)
    yield event("ticket.resolved", at_ms + HOUR_MS, ticket_id=ticket.id)
    yield event("ticket.closed", at_ms + 2 * HOUR_MS, ticket_id=ticket.id)


@pytest.mark.parametrize("need", NEEDS)
def test_between_them_the_packs_cover(need: str) -> None:
    pack, rule_id = NEEDS[need]
    assert rule_id in {rule.id for rule in LOADED[pack].rules}


@pytest.mark.parametrize("pack", PACKS)
def test_a_pack_defines_nothing_that_it_does_not_use(pack: str) -> None:
    rules = LOADED[pack]
    text = (FOLDER / f"{pack}.yaml").read_text(encoding="utf-8")
    owners = {owner.removeprefix("team.") for rule in rules.rules for owner in rule.owner if owner.startswith("team.")}

    assert owners == set(rules.teams)
    assert [name for name in rules.calendars if f"calendar: {name}" not in text] == []
    assert len({rule.id for rule in rules.rules}) == len(rules.rules)
    assert rules.churn is not None
    assert {rules.feed_of(name) for name in EVENT_TYPES} - {None} == set(rules.feeds)


@pytest.mark.parametrize("pack", PACKS)
def test_a_live_rule_says_who_is_to_act_and_until_when(pack: str) -> None:
    live = [rule for rule in LOADED[pack].rules if rule.mode == "live"]

    assert [rule.id for rule in live if not rule.owner or rule.ack_by is None or rule.expire_after is None] == []


@pytest.mark.parametrize(("pack", "rule_id"), RULES_OF_PACKS)
def test_every_rule_is_explained_in_english_and_in_chinese(pack: str, rule_id: str) -> None:
    lines = (FOLDER / f"{pack}.yaml").read_text(encoding="utf-8").splitlines()
    place = lines.index(f"  - id: {rule_id}")
    comment = []
    while lines[place - 1].startswith("  #"):
        place -= 1
        comment.append(lines[place])

    assert CHINESE.search("".join(comment))
    assert LATIN_WORDS.search("".join(comment))


def test_no_two_packs_have_a_tenant_or_version_in_common() -> None:
    packs = [LOADED[pack] for pack in PACKS]
    assert len({rules.tenant for rules in packs}) == len({rules.version for rules in packs}) == len(PACKS)
