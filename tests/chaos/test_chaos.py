"""Every kind of fault once, on three brokers of Apache Kafka: nothing lost, nothing wrong, nothing twice."""

import asyncio
import os

import pytest
from chaos.plan import KINDS, Counts, make_plan
from chaos.run import Options, run
from kafka_server import KafkaUnavailable

ONCE = Counts(kills=3, zombies=1, broker_kills=1, cuts=1, disks_full=1, redis_gone=1, rolls=1)
SEED = 984
LITTLE_PAUSE = 0.25


@pytest.mark.kafka
@pytest.mark.timeout(900)
@pytest.mark.skipif(os.environ.get("CHURN_KAFKA") != "1", reason="needs three brokers with disks: Apache Kafka, CHURN_KAFKA=1")
def test_nothing_is_lost_wrong_or_twice_whatever_fails() -> None:
    plan = make_plan(ONCE, SEED, pause=LITTLE_PAUSE)
    try:
        report = asyncio.run(run(plan, Options(seed=SEED, rate=150, customers=150)))
    except KafkaUnavailable as unavailable:
        if os.environ.get("CI") == "true":
            pytest.fail(str(unavailable))
        pytest.skip(str(unavailable))

    assert report.is_right, str(report)
    assert set(report.faults) == set(KINDS), "a fault found nobody to be done to"
    assert report.not_acknowledged == 0
    assert report.gave_up == 1
    # The comparison is worth what there was to compare.
    assert all(
        verdict.expected for verdict in report.verdicts if verdict.what.startswith(("alerts", "shadow", "state", "risk"))
    )
    assert [one for one in report.exits if one.status] == []
