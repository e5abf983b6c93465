"""What learn logs of the monitor's alarms: a line when one begins, one when it ends, nothing in between."""

from random import Random

import msgspec
from learn_examples import example
from structlog.testing import capture_logs

from schemas.codec import encode
from streams.learn import Learner
from streams.settings import load_settings


async def test_an_alarm_is_logged_when_it_begins_and_when_it_ends() -> None:
    learner = Learner(load_settings(prefix="t.", learn_min_examples=1_000))
    random, offset = Random(1), 0

    def learn(count: int, share: float) -> None:
        nonlocal offset
        for _ in range(count):
            one = msgspec.structs.replace(example(offset % 200), churned=random.random() < share)
            learner._learn(encode(one), offset)
            offset += 1

    with capture_logs() as lines:
        learn(1_500, 0.1)
        assert lines == []
        learn(600, 1.0)
        learn(600, 0.1)
    told = [line for line in lines if line["event"] == "learn.alarm" and line["alarm"] == "labels_missing"]
    assert [(line["state"], line["log_level"]) for line in told] == [("began", "warning"), ("ended", "warning")]
    assert 1_500 < told[0]["offset"] < 1_900
    assert 2_100 < told[1]["offset"] < 2_700
    assert learner.model.monitor.held_back > 300
    assert {line["event"] for line in lines} == {"learn.alarm"}
