"""The life of alerts as a state machine: whatever happens in whatever order, the engine tells what a naive model tells."""

from alert_life_model import CLOSED, Life, Mood, Quiet
from alert_life_rules import PROMISES, rules_with
from engine_run import EngineRun
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from detectors.identity import alert_id
from schemas.codec import Record, encode
from schemas.control import RulesPublished, Tick
from schemas.decisions import AlertRecord
from schemas.events import (
    AlertAcked,
    AlertAssigned,
    AlertEvent,
    AlertJudged,
    AlertNoted,
    AlertSnoozed,
    CustomerUpdated,
    OrderPlaced,
    SurveyAnswered,
)
from schemas.instants import HOUR_MS

CUSTOMERS = ("ann",)
MOODS = tuple(rule_id for rule_id in PROMISES if rule_id != "quiet")
ACTIONS = ("snoozed", "acked", "snoozed", "assigned", "noted", "judged")
PATIENCE = st.sampled_from([10, 15])
ALLOWED = {
    None: {"opened"},
    "opened": {"escalated", "acked", "snoozed", *CLOSED},
    "escalated": {"acked", "snoozed", *CLOSED},
    "acked": {"snoozed", *CLOSED},
    "snoozed": {"opened", "acked", "snoozed", *CLOSED},
    "resolved": {"retracted"},
    "expired": {"retracted", "opened"},
    "retracted": set(),
}
"""By the state before: what may come next, remarks apart."""


def _rule_of(alert: AlertRecord) -> str:
    return alert.rule.partition("@")[0]


class AlertLife(RuleBasedStateMachine):
    """One customer, four rules. `clock` is the hour that all clocks have reached, `hour` that of the last event."""

    @initialize()
    def begin(self) -> None:
        self.run = EngineRun(rules_with(tuple(PROMISES), 10, 1))
        self.undisturbed = EngineRun(rules_with(tuple(PROMISES), 10, 1))
        self.revision = 1
        self.clock = self.hour = 0
        self.number = 0
        self.tiers: dict[str, str | None] = dict.fromkeys(CUSTOMERS)
        self.lives = {(name, rule_id): Life(PROMISES[rule_id]) for name in CUSTOMERS for rule_id in PROMISES}
        self.moods = {(name, rule_id): Mood(self.lives[name, rule_id]) for name in CUSTOMERS for rule_id in MOODS}
        self.quiets = {name: Quiet(self.lives[name, "quiet"], 10) for name in CUSTOMERS}
        self.lagging = False
        self.before: dict[str, AlertRecord] = {}

    # -- what happens

    @rule(who=st.sampled_from(CUSTOMERS), bad=st.booleans(), after=st.integers(1, 6))
    def answer_a_survey(self, who: str, after: int, *, bad: bool) -> None:
        self._advance(after)
        fields = self._fields(who, self.hour)
        self._apply(SurveyAnswered(**fields, survey="csat", score=1.0 if bad else 5.0, scale_max=5.0))  # type: ignore[arg-type]
        for rule_id in MOODS:
            self.moods[who, rule_id].on_score(bad=bad, hour=self.hour, tier=self.tiers[who])

    @rule(who=st.sampled_from(CUSTOMERS), after=st.integers(0, 12))
    def order(self, who: str, after: int) -> None:
        self._advance(after)
        self._apply(OrderPlaced(**self._fields(who, self.hour), order_id="o", amount=1.0))  # type: ignore[arg-type]
        self.quiets[who].on_order(self.hour)

    @precondition(lambda self: not self.lagging and any(quiet.due is not None for quiet in self.quiets.values()))
    @rule(data=st.data())
    def order_late(self, data: st.DataObject) -> None:
        self.tick(0)
        who = data.draw(st.sampled_from([name for name, quiet in self.quiets.items() if quiet.due is not None]))
        quiet = self.quiets[who]
        assert quiet.due is not None
        hour = data.draw(st.integers(quiet.start + 1, quiet.due - 1))
        self._apply(OrderPlaced(**self._fields(who, hour), order_id="o", amount=1.0))  # type: ignore[arg-type]
        quiet.on_late_order(hour, self.clock)

    @rule(who=st.sampled_from(CUSTOMERS), tier=st.sampled_from(["vip", "basic"]), after=st.integers(1, 4))
    def change_tier(self, who: str, tier: str, after: int) -> None:
        self._advance(after)
        self._apply(CustomerUpdated(**self._fields(who, self.hour), tier=tier))  # type: ignore[arg-type]
        self.tiers[who] = tier
        self.lives[who, "low-of-vips"].pass_tier(self.hour, tier)

    @precondition(lambda self: self.run.alerts)
    @rule(data=st.data(), what=st.sampled_from(ACTIONS), after=st.integers(0, 2))
    def act(self, data: st.DataObject, what: str, after: int) -> None:
        self._advance(after)
        latest = [alert for alert in self.run.alerts if self._life_of(alert).is_latest(alert.episode_start_ms // HOUR_MS)]
        if not latest:
            return
        alert = data.draw(st.sampled_from(list({alert.alert_id: alert for alert in latest}.values())))
        if _rule_of(alert) == "quiet":
            self.tick(0)  # people act on what they were told
        until = self.hour + data.draw(st.integers(1, 12))
        self._apply(self._action(what, alert, until))
        means_something = self._is_here(alert) and self._life_of(alert).act(what, self.hour, until)
        assert [letter.stage for letter in self.run.decisions[-1].dead_letters] == ([] if means_something else ["detect"])

    @rule(after=st.integers(0, 16))
    def tick(self, after: int) -> None:
        self._advance(after)
        self._apply(Tick(at_ms=self.hour * HOUR_MS))
        self.clock, self.lagging = self.hour, False
        self._compare()

    @rule(feed=st.sampled_from(["orders", "tickets"]), after=st.integers(1, 9))
    def tick_while_a_feed_lags(self, feed: str, after: int) -> None:
        self._advance(after)
        self._apply(Tick(at_ms=self.hour * HOUR_MS, marks_ms={feed: self.clock * HOUR_MS}))
        self.lagging = True

    @rule(gone=st.sets(st.sampled_from(sorted(PROMISES)), max_size=2), patience=PATIENCE)
    def publish(self, gone: set[str], patience: int) -> None:
        self.tick(1)  # an event at the very instant of a rule set is decided by either
        self.revision += 1
        rules = rules_with([rule_id for rule_id in PROMISES if rule_id not in gone], patience, self.revision)
        version = str(self.revision)
        self._apply(RulesPublished(at_ms=self.hour * HOUR_MS, version=version, revision=self.revision, document=rules))
        for (_, rule_id), mood in self.moods.items():
            mood.publish(here=rule_id not in gone, hour=self.clock)
        for quiet in self.quiets.values():
            quiet.publish(here="quiet" not in gone, patience=patience, hour=self.clock)
        self._compare()

    @rule(patience=PATIENCE)
    def publish_another_patience(self, patience: int) -> None:
        self.publish({rule_id for (_, rule_id), mood in self.moods.items() if not mood.here}, patience)

    # -- steps that seldom meet by chance

    @rule(who=st.sampled_from(CUSTOMERS), passed=st.integers(10, 14), more=st.integers(0, 6))
    def order_after_the_patience_was_prolonged(self, who: str, passed: int, more: int) -> None:
        self.publish(set(), 10)
        self.order(who, 0)
        self.tick(passed)
        self.publish(set(), 15)
        self.order(who, more)
        self.tick(0)

    @rule(who=st.sampled_from(CUSTOMERS), passed=st.integers(10, 12), more=st.integers(0, 6))
    def order_when_the_rule_was_away_for_an_hour(self, who: str, passed: int, more: int) -> None:
        self.publish(set(), 10)
        self.order(who, 0)
        self.tick(passed)
        self.publish({"quiet"}, 10)
        self.publish(set(), 15)
        self.tick(more)
        self.order(who, 0)
        self.tick(0)

    @rule(
        data=st.data(),
        who=st.sampled_from(CUSTOMERS),
        what=st.sampled_from(["snoozed", "acked"]),
        after=st.integers(1, 6),
        bad=st.booleans(),
    )
    def answer_again_after_somebody_acted(self, data: st.DataObject, who: str, what: str, after: int, *, bad: bool) -> None:
        self.publish(set(), 10)
        self.answer_a_survey(who, 1, bad=True)
        self.tick(2)
        self.act(data, what, 0)
        self.answer_a_survey(who, after, bad=bad)
        self.tick(0)

    @rule(who=st.sampled_from(CUSTOMERS), after=st.integers(1, 4), more=st.integers(1, 4))
    def become_a_vip_while_unhappy(self, who: str, after: int, more: int) -> None:
        self.publish(set(), 10)
        self.change_tier(who, "basic", 1)
        self.answer_a_survey(who, 1, bad=False)
        self.answer_a_survey(who, 1, bad=True)
        self.change_tier(who, "vip", after)
        self.tick(more)

    @rule()
    def crash(self) -> None:
        self.run.restored()

    # -- what holds at all times

    def _apply(self, record: Record) -> None:
        """Two engines get a record, one of them restored now and then: a crash changes nothing."""
        self.run.feed(record)
        self.undisturbed.feed(record)
        found = [*self.run.decisions[-1].alerts, *self.run.decisions[-1].shadow]
        undisturbed = [*self.undisturbed.decisions[-1].alerts, *self.undisturbed.decisions[-1].shadow]
        assert list(map(encode, found)) == list(map(encode, undisturbed))
        for alert in found:
            self._may_follow(self.before.get(alert.alert_id), alert)
            self.before[alert.alert_id] = alert

    @staticmethod
    def _may_follow(before: AlertRecord | None, alert: AlertRecord) -> None:
        """An id names one episode and counts its records; every step is one that an alert may take."""
        assert alert.alert_id == alert_id("shop", _rule_of(alert), alert.customer_id, None, alert.episode_start_ms)
        assert alert.sequence == (1 if before is None else before.sequence + 1)
        state = None if before is None else before.state
        if alert.by == "remarker":
            assert state == alert.state
            return
        assert alert.state in ALLOWED[state]
        if before is not None and (state, alert.state) == ("opened", "escalated"):
            assert alert.at_ms == before.ack_by_ms
        if before is not None and (state, alert.state) == ("snoozed", "opened"):
            assert alert.at_ms == before.snoozed_until_ms

    # -- how it is done

    def _compare(self) -> None:
        """All clocks have passed all events: what was told is what the model tells."""
        told: dict[tuple[str, str, int], list[tuple[str, int]]] = {}
        for alert in self.run.alerts:
            key = (str(alert.customer_id), _rule_of(alert), alert.episode_start_ms // HOUR_MS)
            told.setdefault(key, []).append((alert.state, alert.at_ms // HOUR_MS))
        model = {
            (name, rule_id, start): episode.told
            for (name, rule_id), life in self.lives.items()
            for start, episode in life.episodes.items()
            if episode.told
        }
        assert told == model

    def _advance(self, hours: int) -> None:
        for _ in range(hours):
            self.hour += 1
            for (name, _), life in self.lives.items():
                life.pass_hour(self.hour, self.tiers[name])
            for quiet in self.quiets.values():
                quiet.pass_hour(self.hour)

    def _life_of(self, alert: AlertRecord) -> Life:
        return self.lives[str(alert.customer_id), _rule_of(alert)]

    def _is_here(self, alert: AlertRecord) -> bool:
        """Whether the alert's rule is in force."""
        name, rule_id = str(alert.customer_id), _rule_of(alert)
        return self.quiets[name].here if rule_id == "quiet" else self.moods[name, rule_id].here

    def _fields(self, who: str, hour: int) -> dict[str, object]:
        self.number += 1
        return {"id": f"e{self.number}", "customer_id": who, "at_ms": hour * HOUR_MS}

    def _action(self, what: str, alert: AlertRecord, until: int) -> AlertEvent:
        fields = {**self._fields(str(alert.customer_id), self.hour), "alert_id": alert.alert_id, "by": "mia"}
        match what:
            case "acked":
                return AlertAcked(**fields)  # type: ignore[arg-type]
            case "snoozed":
                return AlertSnoozed(**fields, until_ms=until * HOUR_MS)  # type: ignore[arg-type]
            case "assigned":
                return AlertAssigned(**{**fields, "by": "remarker"}, to="lea")  # type: ignore[arg-type]
            case "noted":
                return AlertNoted(**{**fields, "by": "remarker"}, text="called")  # type: ignore[arg-type]
            case _:
                return AlertJudged(**{**fields, "by": "remarker"}, verdict="true_alarm")  # type: ignore[arg-type]


TestAlertLife = AlertLife.TestCase
TestAlertLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None, report_multiple_bugs=False)
