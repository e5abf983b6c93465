"""What watches the model: measures by their definitions, alarms, and when the model may decide."""

import math
from random import Random

import msgspec
import pytest

from detectors.measures import place_of_days
from detectors.monitor import WINS, Monitor
from schemas.codec import encode
from schemas.decisions import ExampleRecord
from schemas.instants import DAY_MS, WEEK_MS
from schemas.model_quality import ALARMS, MonitorState

HORIZON_DAYS = 30
Said = tuple[ExampleRecord, float]


def example(day: float, *, churned: bool, silence: float | None = 5.0) -> ExampleRecord:
    return ExampleRecord(
        customer_id="c",
        at_ms=int(day * DAY_MS),
        horizon_ms=HORIZON_DAYS * DAY_MS,
        churned=churned,
        names=["order_recency_days", "login_recency_days"],
        features=[40.0, 12.0],
        active=True,
        silence_days=silence,
    )


def stream(count: int, seed: int = 1, begin_day: float = 0.0, a_day: int = 100) -> list[Said]:
    """Scores that are right on average, and silences that know a little less."""
    random, found = Random(seed), []
    for number in range(count):
        probability = random.betavariate(1, 3)
        silence = max(0.0, 60 * probability + random.gauss(0, 15))
        churned = random.random() < probability
        found.append((example(begin_day + number / a_day, churned=churned, silence=silence), probability))
    return found


def judged(said: list[Said], monitor: Monitor | None = None) -> Monitor:
    monitor = monitor or Monitor()
    for record, probability in said:
        monitor.judge(record, probability)
    return monitor


def alarms(monitor: Monitor) -> set[str]:
    return set(monitor.alarms)


def decides(monitor: Monitor) -> bool:
    return monitor.may_decide


def losses_of(said: list[Said]) -> list[float]:
    return [-math.log(probability if record.churned else 1 - probability) for record, probability in said]


def auc_of(scores: list[float], labels: list[bool]) -> float:
    churned = [score for score, label in zip(scores, labels, strict=True) if label]
    stayed = [score for score, label in zip(scores, labels, strict=True) if not label]
    return sum((a > b) + (a == b) / 2 for a in churned for b in stayed) / (len(churned) * len(stayed))


def test_measures_are_what_their_definitions_say_of_all_and_of_the_active() -> None:
    said = stream(1_500)
    report = judged(said).report()
    active = [(record, probability) for record, probability in said if (record.silence_days or 0) <= HORIZON_DAYS]
    assert 200 < len(active) < len(said) - 200
    assert report.active is not None
    for found, some in ((report, said), (report.active, active)):
        labels = [record.churned for record, _ in some]
        assert (found.examples, found.churned) == (len(some), sum(labels))
        assert found.log_loss == pytest.approx(sum(losses_of(some)) / len(some))
        assert found.brier == pytest.approx(sum((p - record.churned) ** 2 for record, p in some) / len(some))
        assert found.auc == pytest.approx(auc_of([p for _, p in some], labels), abs=0.005)
        bins: dict[int, list[float]] = {}
        for record, p in some:
            bins.setdefault(int(p * 20), []).append(p - record.churned)
        assert found.calibration_error == pytest.approx(sum(abs(sum(apart)) for apart in bins.values()) / len(some))


def test_baselines_are_scored_before_they_learn() -> None:
    said = stream(400)
    report = judged(said).report()
    base: list[float] = []
    silence: list[float] = []
    seen: list[bool] = []
    silences: list[bool] = []
    for record, _ in said:
        rate = (sum(seen) + 1) / (len(seen) + 2)
        if (record.silence_days or 0) <= HORIZON_DAYS:
            base.append(-math.log(rate if record.churned else 1 - rate))
            silence.append(record.silence_days or 0)
            silences.append(record.churned)
        seen.append(record.churned)
    assert set(report.baselines) == {"base_rate", "recency_histogram", "days_silent"}
    assert report.baselines["base_rate"].log_loss == pytest.approx(sum(base) / len(base))
    assert report.baselines["days_silent"].auc == pytest.approx(auc_of(silence, silences), abs=0.005)
    assert report.baselines["days_silent"].log_loss is None
    histogram = report.baselines["recency_histogram"]
    assert histogram.log_loss is not None
    assert histogram.log_loss < sum(base) / len(base)
    assert report.baselines["base_rate"].examples == histogram.examples == len(base)


def test_silence_is_that_of_the_activity_that_counts_else_the_shortest_known() -> None:
    monitor = judged([(example(0, churned=True, silence=None), 0.5), (example(0, churned=False, silence=31.0), 0.5)])
    active = monitor.report().active
    assert active is not None
    assert (active.examples, active.churned) == (1, 1)  # 12 days since the login; 31 days are more than the horizon


def test_bins_of_days_keep_days_apart() -> None:
    places = [place_of_days(days) for days in (-1.0, 0.0, 0.5, 1.0, 2.0, 7.0, 30.0, 31.0, 365.0, 400.0, 1e9)]
    assert places == sorted(places)
    assert len(set(places)) == len(places) - 1


def test_the_model_may_decide_once_enough_has_matured_and_it_won_four_weeks_in_a_row() -> None:
    said = stream(8_000)  # eleven weeks and a half
    monitor, since = Monitor(), None
    for number, (record, probability) in enumerate(said):
        monitor.judge(record, probability)
        if monitor.may_decide and since is None:
            since = number
    assert since is not None
    assert since + 1 >= 3_000
    assert said[since][0].at_ms >= WINS * WEEK_MS
    assert monitor.may_decide
    assert not judged(said, Monitor(min_examples=8_001)).may_decide
    rarer = sum(record.churned for record, _ in said)
    assert judged(said, Monitor(min_rarer=rarer)).may_decide
    assert not judged(said, Monitor(min_rarer=rarer + 1)).may_decide


def test_a_model_that_ranks_the_active_worse_than_silence_does_leaves_the_decision_to_rules() -> None:
    said = stream(6_000)
    silence_knows = [(msgspec.structs.replace(record, silence_days=20.0 * record.churned), p) for record, p in said]
    assert judged(said).may_decide
    assert not judged(silence_knows).may_decide


def test_a_model_that_has_become_worse_than_the_base_rate_does_not_decide_until_it_is_better_again() -> None:
    monitor = judged(stream(6_000))
    assert decides(monitor)
    judged([(record, 0.95 - 0.9 * probability) for record, probability in stream(300, 2, 60)], monitor)
    assert not decides(monitor)
    report = monitor.report()
    assert report.log_loss < report.base_log_loss  # over all its life it still is better
    judged(stream(6_000, 3, 63), monitor)
    assert monitor.may_decide


@pytest.mark.parametrize("churned", [True, False])
def test_one_class_alone_is_no_reason_to_decide(churned: bool) -> None:  # noqa: FBT001
    said = [(example(number / 10, churned=churned), 0.5 + 0.4 * (churned - 0.5)) for number in range(4_000)]
    monitor = judged(said)
    assert monitor.report().auc == 0.5
    assert not monitor.may_decide


@pytest.mark.parametrize("cut", [0, 1, 19, 20, 2_999, 3_500, 6_500])
def test_an_interruption_changes_no_byte(cut: int) -> None:
    said = [*stream(4_000), *((msgspec.structs.replace(record, churned=True), p) for record, p in stream(3_000, 2, 40))]
    monitor = judged(said[:cut])
    state = msgspec.json.decode(encode(monitor.state()), type=MonitorState)
    assert encode(judged(said[cut:], Monitor.restored(state)).state()) == encode(judged(said).state())


def test_what_is_kept_does_not_grow() -> None:
    monitor = Monitor()
    sizes = [len(encode(judged(stream(12_000, seed, 120 * seed), monitor).state())) for seed in range(4)]
    assert sizes[-1] < sizes[0] + 25_000  # at most a thousand means of losses, and longer numbers


def outage(days: int, begin_day: float = 40.0, a_day: int = 100) -> list[Said]:
    """What was expected does not come, whoever it is."""
    said = stream(days * a_day, 7, begin_day, a_day)
    return [(msgspec.structs.replace(record, churned=True), probability) for record, probability in said]


def test_labels_that_do_not_come_are_held_back_until_they_come_again() -> None:
    monitor = judged(stream(4_000))
    assert alarms(monitor) == set()
    learned = [monitor.judge(*one) for one in outage(10)]
    assert alarms(monitor) == {"labels_missing"}
    alarm = learned.index(False)
    assert alarm < 350, "within days"
    assert not any(learned[alarm:])
    assert monitor.held_back == 1_000 - alarm
    assert monitor.report().alarms == ["labels_missing"]

    again = [monitor.judge(*one) for one in stream(1_000, 9, 50)]
    assert "labels_missing" not in alarms(monitor)
    assert again.index(True) < 400
    assert all(again[again.index(True) :])


def test_after_a_horizon_it_is_how_things_are_and_is_learned_while_the_alarm_stands() -> None:
    monitor = judged(stream(4_000))
    learned = [monitor.judge(*one) for one in outage(HORIZON_DAYS + 20)]
    first, last = learned.index(False), len(learned) - learned[::-1].index(False)
    assert last - first == HORIZON_DAYS * 100
    assert all(learned[last:])
    assert "labels_missing" in monitor.alarms


def test_nothing_is_missing_before_anybody_knows_what_to_expect() -> None:
    assert judged(outage(20), Monitor(min_examples=2_001)).alarms == ()


@pytest.mark.parametrize("seed", range(5))
def test_noise_raises_no_alarm(seed: int) -> None:
    monitor = Monitor()
    assert {monitor.alarms for one in stream(20_000, seed) if monitor.judge(*one)} == {()}
    assert monitor.held_back == 0


def test_a_log_loss_that_rises_is_an_alarm_for_a_while_and_one_that_falls_is_none() -> None:
    bad = [(record, 0.5) for record, _ in stream(6_000, 5, 60)]
    monitor = judged(stream(6_000))
    seen = {monitor.alarms for one in bad if monitor.judge(*one)}
    assert (ALARMS[0],) in seen
    assert set(monitor.alarms) <= {ALARMS[0]}
    seen_later = {monitor.alarms for one in stream(9_000, 6, 120) if monitor.judge(*one)}
    assert monitor.alarms == ()
    assert seen_later <= {(), (ALARMS[0],)}
    better = judged([(record, 0.5) for record, _ in stream(6_000)])
    assert {better.alarms for one in stream(6_000, 5, 60) if better.judge(*one)} == {()}
