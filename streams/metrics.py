"""Metrics for Prometheus: a collector that reads the roles' counters when it is asked."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from faust import App
from mode import Service
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from detectors.partition_state import ENGINE_VERSION
from detectors.recipe import RECIPES
from schemas.model_quality import ALARMS, SILENCE
from streams.buckets import Buckets
from streams.dispatch_calls import RESULTS
from streams.metric_customers import customer_samples
from streams.metric_samples import Sample
from streams.metric_table import METRICS, Form
from streams.readiness import obstacles_of
from streams.transport import consumer_of
from streams.version import VERSION

if TYPE_CHECKING:  # a process with one role does not load the others
    from streams.clock import Clock
    from streams.deliver import Deliver
    from streams.detect import Detector
    from streams.dispatch import Dispatch
    from streams.door import Door
    from streams.ingest import Ingest
    from streams.learn import Learner
    from streams.partition_status import PartitionStatus

_STATUSES: Final = ("live", "lagging", "silent", "dead")
_POSITIONS_TIMEOUT_S: Final = 2.0

log = structlog.get_logger("churn.metrics")


class RoleCollector(Collector):
    """Reads the counters of the roles of a process at each scrape. Between scrapes it costs nothing."""

    def __init__(self, services: Mapping[str, Service], loop: asyncio.AbstractEventLoop | None = None) -> None:
        """`loop` is where they run; without it there are no positions."""
        self._services = services
        self._loop = loop

    def collect(self) -> Iterator[Metric]:
        """Every metric of the table; one of a role that does not run here has no values."""
        families = {name: _family(name, form) for name, form in METRICS.items()}
        for sample in self._samples():
            family, labels = families[sample.name], list(sample.labels)
            if isinstance(sample.value, Buckets):
                family.add_metric(labels, buckets=sample.value.cumulative(), sum_value=sample.value.sum)
            elif isinstance(family, SummaryMetricFamily):
                family.add_metric(labels, count_value=sample.of_how_many, sum_value=sample.value)
            else:
                family.add_metric(labels, sample.value)
        yield from families.values()

    def _samples(self) -> Iterator[Sample]:
        yield Sample("churn_build_info", (VERSION, str(ENGINE_VERSION)), 1)
        for role, service in self._services.items():
            yield Sample("churn_ready", (role,), float(not any(obstacles_of(role, service))))
            if role == "door":
                yield from _door(cast("Door", service))
            else:
                yield from samples_of(service)
        yield from self._positions()

    def _positions(self) -> Iterator[Sample]:
        """Asked in the loop of the apps, since the scrape runs in a thread of its own."""
        if self._loop is None:
            return
        for role, app in self._services.items():
            if not isinstance(app, App):
                continue
            asked = asyncio.run_coroutine_threadsafe(_positions(role, app), self._loop)
            try:
                yield from asked.result(_POSITIONS_TIMEOUT_S)
            except Exception as error:  # noqa: BLE001 - a consumer that is just closing must not fail the whole scrape
                asked.cancel()
                log.warning("metrics.no_positions", role=role, reason=repr(error))


def samples_of(app: Service) -> Iterator[Sample]:
    """What the counters of a role say. They are copied first: the role goes on counting in another thread."""
    found: Any = app
    if hasattr(found, "ingest"):
        yield from _ingest(found.ingest)
    if hasattr(found, "detector"):
        yield from _detect(found.detector)
    if hasattr(found, "clock"):
        yield from _clock(found.clock)
    if hasattr(found, "learner"):
        yield from _learn(found.learner)
    if hasattr(found, "deliver"):
        yield from _deliver(found.deliver)
    if hasattr(found, "dispatch"):
        yield from _dispatch(found.dispatch)


def _ingest(ingest: "Ingest") -> Iterator[Sample]:
    counters = ingest.counters
    for topic, count in dict(counters.events).items():
        yield Sample("churn_ingest_events_total", (topic,), count)
    for topic, count in dict(counters.clamped).items():
        yield Sample("churn_ingest_clamped_events_total", (topic,), count)
    yield Sample("churn_ingest_heartbeats_total", (), counters.heartbeats)
    for topic, pause in dict(ingest.gate.states.pauses).items():
        yield Sample("churn_source_paused", (topic, pause.reason), 1)
    for topic, backlog in dict(ingest.reports.catch_up.backlogs).items():
        yield Sample("churn_source_behind_records", (topic,), backlog.behind_records)
        if backlog.eta_s is not None:
            yield Sample("churn_source_eta_seconds", (topic,), backlog.eta_s)
    for topic, late_ms in dict(counters.late_ms).items():
        yield Sample("churn_source_lateness_seconds", (topic,), late_ms / 1000)
    yield from _dead_letters("ingest", counters.dead_letters)


def _detect(detector: "Detector") -> Iterator[Sample]:
    counters = detector.counters
    yield Sample("churn_detect_records_total", (), counters.records)
    yield Sample("churn_transaction_duration_seconds", (), counters.transactions)
    yield Sample("churn_restored_records_total", (), counters.restored_records)
    yield Sample("churn_restore_duration_seconds", (), counters.restore_s, counters.restores)
    yield from _partitions(detector.statuses())
    yield Sample("churn_lost_partitions_total", (), counters.lost_partitions)
    yield Sample("churn_seeks_back_total", (), counters.seeks_back)
    yield Sample("churn_alert_delay_seconds", ("timer",), counters.timer_delays)
    yield Sample("churn_alert_delay_seconds", ("event",), counters.event_delays)
    for labels, count in _by_rule(counters.alerts).items():
        yield Sample("churn_alerts_total", labels, count)
    yield from customer_samples(detector)
    yield Sample("churn_erasures_total", (), counters.erasures)
    yield from _dead_letters("detect", counters.dead_letters)


def _partitions(statuses: Sequence["PartitionStatus"]) -> Iterator[Sample]:
    now_s = time.monotonic()
    for status in statuses:
        labels = (str(status.partition),)
        yield Sample("churn_failing_seconds", labels, status.failing_s(now_s))
        yield Sample("churn_restore_progress_ratio", labels, status.restored_share())
        if status.phase == "restoring" and (eta_s := status.progress.eta_s(now_s)) is not None:
            yield Sample("churn_restore_eta_seconds", labels, eta_s)
    yield Sample("churn_refused_partitions", (), sum(status.phase == "refused" for status in statuses))


def _by_rule(counts: Mapping[tuple[str, str], int]) -> Counter[tuple[str, ...]]:
    """The versions of a rule together: they are one line in a chart."""
    by_rule: Counter[tuple[str, ...]] = Counter()
    for (rule, what), count in dict(counts).items():
        by_rule[rule.partition("@")[0], what] += count
    return by_rule


def _clock(clock: "Clock") -> Iterator[Sample]:
    yield Sample("churn_ticks_total", (), clock.counters.ticks)
    yield Sample("churn_documents_published_total", (), clock.counters.documents)
    for feed, lag_ms in clock.state.lags_ms().items():
        if lag_ms is not None:
            yield Sample("churn_feed_mark_lag_seconds", (feed,), lag_ms / 1000)
    for feed, held in clock.state.statuses().items():
        for status in _STATUSES:
            yield Sample("churn_feed_status", (feed, status), float(held == status))


def _learn(learner: "Learner") -> Iterator[Sample]:
    yield Sample("churn_learn_examples_total", (), learner.counters.examples)
    yield Sample("churn_learn_refused_examples_total", (), learner.counters.refused)
    yield Sample("churn_model_usable", (), float(learner.model.usable))
    yield Sample("churn_model_held", (), float(learner.store.pin.held is not None))
    monitor = learner.model.monitor
    yield Sample("churn_model_held_back_examples_total", (), monitor.held_back)
    for alarm in ALARMS:
        yield Sample("churn_model_alarm", (alarm,), float(alarm in monitor.alarms))
    for recipe in RECIPES:
        yield Sample("churn_model_recipe", (recipe.name,), float(recipe.name == learner.model.recipe))
    quality = monitor.report()
    if not quality.examples:
        return  # nothing was judged yet, and 0 would look like a perfect model
    yield Sample("churn_model_log_loss", (), quality.log_loss)
    yield Sample("churn_model_base_log_loss", (), quality.base_log_loss)
    yield Sample("churn_model_auc", (), quality.auc)
    yield Sample("churn_model_brier_ratio", (), quality.brier or 0.0)
    yield Sample("churn_model_calibration_error_ratio", (), quality.calibration_error or 0.0)
    if quality.active is not None and quality.active.examples:
        yield Sample("churn_model_active_auc", (), quality.active.auc)
        yield Sample("churn_model_silence_auc", (), quality.baselines[SILENCE].auc)


def _deliver(deliver: "Deliver") -> Iterator[Sample]:
    sink, counters = deliver.store.name, deliver.counters
    yield Sample("churn_deliveries_total", (sink, "sent"), counters.records)
    yield Sample("churn_deliveries_total", (sink, "retried"), counters.retries)
    yield Sample("churn_deliveries_total", (sink, "refused"), counters.dead_letters["sink_refused"])
    yield Sample("churn_delivery_failing_seconds", (sink,), _since_s(counters.failing_since_s))
    yield Sample("churn_store_moves_total", (sink,), counters.moves)
    yield Sample("churn_store_moves_total", (sink,), counters.moves)
    yield from _dead_letters("deliver", counters.dead_letters)


def _dispatch(dispatch: "Dispatch") -> Iterator[Sample]:
    for recipient, counters in dispatch.counters.items():
        for result in RESULTS:
            yield Sample("churn_deliveries_total", (recipient, result), counters.results[result])
    for recipient, lane in dict(dispatch.lanes).items():
        yield Sample("churn_delivery_failing_seconds", (recipient,), _since_s(lane.caller.breaker.failing_since_s))
        yield Sample("churn_delivery_behind_records", (recipient,), lane.behind_records)
        for template, count in lane.template_errors().items():
            yield Sample("churn_template_errors_total", (recipient, template), count)
    for labels, count in dispatch.waiting().items():
        yield Sample("churn_delivery_waiting_alerts", labels, count)


def _since_s(began_s: float | None) -> float:
    return 0.0 if began_s is None else time.monotonic() - began_s


def _door(door: "Door") -> Iterator[Sample]:
    counters = door.counters
    for (source, status), count in dict(counters.requests).items():
        yield Sample("churn_door_requests_total", (source, str(status)), count)
    for source, taken_bytes in dict(counters.taken_bytes).items():
        yield Sample("churn_door_taken_bytes_total", (source,), taken_bytes)
    for source, taken_s in dict(counters.taken_s).items():
        yield Sample("churn_door_acknowledge_duration_seconds", (source,), taken_s, counters.requests[source, 202])
    yield Sample("churn_door_under_way_requests", (), door.space.requests)
    yield Sample("churn_door_under_way_bytes", (), door.space.taken_bytes)


def _dead_letters(stage: str, reasons: Mapping[str, int]) -> Iterator[Sample]:
    for reason, count in dict(reasons).items():
        yield Sample("churn_dead_letters_total", (stage, reason), count)


async def _positions(role: str, app: App) -> list[Sample]:
    consumer = consumer_of(app)
    found: list[Sample] = []
    for tp, at in (await consumer.positions()).items():
        labels = (role, tp.topic, str(tp.partition))
        position = at.position - consumer.held(tp)
        found.append(Sample("churn_position_offset", labels, position))
        found.append(Sample("churn_lag_records", labels, max(0, at.end - position)))
    return found


def _family(name: str, form: Form) -> Any:  # noqa: ANN401 - four classes without a common `add_metric`
    families: Mapping[str, Any] = {
        "counter": CounterMetricFamily,
        "gauge": GaugeMetricFamily,
        "summary": SummaryMetricFamily,
        "histogram": HistogramMetricFamily,
    }
    return families[form.kind](name, form.help, labels=form.labels)
