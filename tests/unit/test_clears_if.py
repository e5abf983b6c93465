"""What an alert says would clear it does clear it: the event that `clears_if` names, fed to `replay`.

Each story is a history after which an alert of the rule is open. The same history goes on twice: with what `clears_if`
asks for, and without.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from clearing import clearing
from engine_run import EngineRun, complaint, contact, day_of, feed, order, tick
from pack_stories import END_MS, story, with_ticks
from standing_run import model

from detectors.told import OPEN_STATES
from schemas.codec import Record, encode
from schemas.control import Tick
from schemas.decisions import CLOSED_STATES, AlertRecord
from schemas.events import ContractSet, LoginSucceeded, SurveyAnswered, TicketOpened, TicketReplied, UsageRecorded
from schemas.instants import DAY_MS, MINUTE_MS
from streams.replay import replay
from streams.rules_file import load_rules, parse_rules

END = 400
"""Days of history; the story goes on at its noon."""

HEAD = """\
version: "1"
tenant: shop
churn: {horizon: P30D}
rules:
"""


def ms(day: float) -> int:
    return round(day * DAY_MS)


def survey(day: float, score: float) -> SurveyAnswered:
    return SurveyAnswered(id=f"s{day}", customer_id="ann", at_ms=ms(day), survey="csat", score=score, scale_max=5)


def usage(day: float, feature: str = "search") -> UsageRecorded:
    return UsageRecorded(id=f"u{day}{feature}", customer_id="ann", at_ms=ms(day), feature=feature)


def ticket(day: float, name: str = "T1") -> TicketOpened:
    return TicketOpened(id=f"t{day}{name}", customer_id="ann", at_ms=ms(day), ticket_id=name)


def replied(day: float, by: str, name: str = "T1") -> TicketReplied:
    return TicketReplied(id=f"r{day}{by}", customer_id="ann", at_ms=ms(day), ticket_id=name, by=by)  # type: ignore[arg-type]


def contract(day: float, renews_day: float) -> ContractSet:
    return ContractSet(id="k", customer_id="ann", at_ms=ms(day), contract_id="K1", renews_at_ms=ms(renews_day))


def login(day: float) -> LoginSucceeded:
    return LoginSucceeded(id=f"l{day}", customer_id="ann", at_ms=ms(day))


STORIES: dict[str, tuple[str, Callable[[], Sequence[Record]]]] = {
    "absence": (
        "{id: rule, kind: absence, of: [order.placed], for: P90D, where: 'event.amount > 50.0'}",
        lambda: [order(100, amount=80)],
    ),
    "absence after": (
        "{id: rule, kind: absence, of: [contact.replied, order.placed], after: [contact.made], for: P7D}",
        lambda: [order(100), contact(390)],
    ),
    "rhythm": (
        "{id: rule, kind: rhythm, of: [order.placed], times: 3.0, min_count: 4}",
        lambda: [order(day) for day in range(100, 300, 10)],
    ),
    "sla first response": (
        "{id: rule, kind: sla, clock: first_response, target: PT24H}",
        lambda: [order(100), ticket(398)],
    ),
    "sla next response": (
        "{id: rule, kind: sla, clock: next_response, target: PT24H}",
        lambda: [ticket(390), replied(390.1, "agent"), replied(398, "customer")],
    ),
    "sla resolution": (
        "{id: rule, kind: sla, clock: resolution, until: closed, target: PT24H}",
        lambda: [ticket(390), replied(390.1, "agent")],
    ),
    "count": (
        "{id: rule, kind: count, of: [ticket.opened], where: 'event.category == \"complaint\"', at_least: 3, within: P30D}",
        lambda: [complaint(day) for day in (390, 391, 392)],
    ),
    "share": (
        "{id: rule, kind: share, of: [survey.answered], where: 'event.score < 3.0', share: 0.5, among: 4, within: P90D}",
        lambda: [order(1), survey(390, 5), *(survey(390 + n / 10, 1) for n in range(1, 5))],
    ),
    "share unless": (
        "{id: rule, kind: share, of: [ticket.opened], unless: [ticket.resolved], for: P3D, share: 0.5, among: 4, within: P60D}",
        lambda: [order(1), *(ticket(390 + n / 10, f"T{n}") for n in range(4))],
    ),
    "level below": (
        "{id: rule, kind: level, of: [survey.answered], value: event.score, below: 3.0, clear_above: 4.0}",
        lambda: [survey(390, 2)],
    ),
    "level above": (
        "{id: rule, kind: level, of: [order.placed], value: event.amount, above: 500.0, clear_below: 100.0}",
        lambda: [order(390, amount=800)],
    ),
    "decline": (
        "{id: rule, kind: decline, of: [order.placed], recent: P30D, baseline: P180D, by: 0.5, min_count: 6}",
        lambda: [order(day) for day in range(100, 370, 10)],
    ),
    "decline of features": (
        "{id: rule, kind: decline, of: [usage.recorded], distinct: feature, recent: P14D, baseline: P60D, by: 0.4}",
        lambda: [usage(day) for day in range(100, 385)],
    ),
    "decline up": (
        "{id: rule, kind: decline, of: [order.placed], recent: P30D, baseline: P180D, by: 0.5, direction: up, min_count: 6}",
        lambda: [*(order(day) for day in range(100, 370, 20)), *(order(399 + n / 100) for n in range(10))],
    ),
    "renewal": (
        "{id: rule, kind: renewal, before: P30D, where: 'features.logins_30d < 3.0'}",
        lambda: [login(100), contract(100, 420)],
    ),
    "score": (
        "{id: rule, kind: score, above: 0.8, clear_below: 0.6}",
        lambda: [model(), order(350), *(tick(day) for day in range(351, END + 1))],
    ),
    "all": (
        "{id: rule, kind: all, rules: [silent, unhappy]}",
        lambda: [order(300), survey(395, 1)],
    ),
    "any": (
        "{id: rule, kind: any, rules: [silent, unhappy]}",
        lambda: [order(300), survey(395, 1)],
    ),
    "feed": (
        "{id: rule, kind: absence, of: [order.placed], for: P90D}",
        lambda: [order(395), feed(399, "orders", "dead")],
    ),
}
PARTS = """\
  - {id: silent, kind: absence, of: [order.placed], for: P60D}
  - {id: unhappy, kind: level, of: [survey.answered], value: event.score, below: 3.0}
"""


def replayed(lines: Sequence[Record], rules: str, until_ms: int) -> list[AlertRecord]:
    """The last record of each alert."""
    last = {
        alert.alert_id: alert
        for alert in replay([encode(line) for line in lines], parse_rules(rules.encode()), until_ms=until_ms)
    }
    return list(last.values())


@pytest.mark.parametrize("name", STORIES)
def test_what_clears_if_names_clears_the_alert(name: str) -> None:
    rule, history = STORIES[name]
    text = f"{HEAD}  - {rule}\n{PARTS}"
    wanted = "feed" if name == "feed" else "rule"
    before = list(history())

    known = [alert for alert in replayed(before, text, ms(END)) if alert.state in OPEN_STATES]
    (alert,) = [one for one in known if one.rule.startswith(wanted)]
    rules = {one.id: one for one in parse_rules(text.encode()).rules}
    asked = clearing(alert, known, rules, ms(END + 0.5))
    assert alert.clears_if is not None
    by_itself_ms = alert.clears_if.at_ms or 0
    until_ms = ms(END + 1) if asked else by_itself_ms + 1

    with_it = {one.alert_id: one.state for one in replayed([*before, *asked], text, until_ms)}
    assert with_it[alert.alert_id] == "resolved"
    without_it = {one.alert_id: one.state for one in replayed(before, text, until_ms if asked else by_itself_ms - 1)}
    assert without_it[alert.alert_id] in OPEN_STATES


@pytest.mark.parametrize("name", STORIES)
def test_an_alert_that_would_clear_by_itself_does_so_at_the_instant_that_it_names(name: str) -> None:
    rule, history = STORIES[name]
    text = f"{HEAD}  - {rule}\n{PARTS}"
    before = list(history())
    for alert in replayed(before, text, ms(END)):
        if alert.state not in OPEN_STATES or alert.clears_if is None or alert.clears_if.at_ms is None:
            continue
        closed = {one.alert_id: one for one in replayed(before, text, alert.clears_if.at_ms + 1)}[alert.alert_id]
        assert closed.state in CLOSED_STATES
        assert day_of(closed.at_ms) == day_of(alert.clears_if.at_ms)


PACKS = {path.stem: load_rules(path) for path in sorted((Path(__file__).parents[2] / "deploy" / "rules").glob("*.yaml"))}
RULES_OF_PACKS = [
    (pack, rule.id)
    for pack in ("b2b", "ecommerce", "education", "saas")
    for rule in PACKS[pack].rules
    if rule.kind != "score"  # it needs a model; that of its story above can be convinced
]


@pytest.mark.parametrize(("pack", "rule_id"), RULES_OF_PACKS)
def test_what_clears_if_names_clears_the_alerts_of_the_packs(pack: str, rule_id: str) -> None:
    rules = PACKS[pack]
    before = [*with_ticks(story(next(rule for rule in rules.rules if rule.id == rule_id), rules))]
    known = [alert for alert in last_of_each(EngineRun(rules).feed(*before)).values() if alert.state in OPEN_STATES]
    own = [alert for alert in known if alert.rule.startswith(f"{rule_id}@")]
    assert own
    for alert in own:
        assert alert.clears_if is not None
        asked = clearing(alert, known, {one.id: one for one in rules.rules}, END_MS + MINUTE_MS)
        ends_ms = END_MS + DAY_MS if asked else (alert.clears_if.at_ms or 0) + 1
        closed = last_of_each(EngineRun(rules).feed(*before, *asked, Tick(at_ms=ends_ms)))[alert.alert_id]
        assert closed.state == "resolved"


def last_of_each(run: EngineRun) -> dict[str, AlertRecord]:
    return {alert.alert_id: alert for alert in run.alerts}
