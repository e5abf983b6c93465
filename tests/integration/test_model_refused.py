"""A published model that cannot be used: whoever meets it says so, and the old one goes on."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from detect_log import Log, new_installation, until
from engine_run import order, tick
from standing_run import churn_rules, model

from schemas.codec import decode_decision, encode
from schemas.control import RulesPublished
from schemas.decisions import RiskRecord
from streams.clock import clock_of
from streams.log_writer import LogWriter
from streams.model_store import CONTROL_KEY
from streams.transactions import Place, Row
from streams.worker import running_roles

pytestmark = pytest.mark.kafka


def altered(**fields: Any) -> bytes:
    """The record of a good model with other fields of its document."""
    plain = orjson.loads(encode(model()))
    plain["document"] |= fields
    return orjson.dumps(plain | {"version": "bad"})


WITH_A_FEATURE_TOO_MANY = altered(features=["shoe_size"])
OF_A_NEWER_RELEASE = altered(layers=[[1, 2], [3]])
WITH_NAN = altered(weights=[None])
WITH_INFINITY = altered(weights=[1]).replace(b'"weights":[1]', b'"weights":[1e999]')
"""JSON has no NaN, and the largest number that it can say is no double."""
OF_UNEQUAL_LENGTHS = altered(mean=[1.0, 2.0])


async def test_a_model_that_cannot_be_used_leaves_the_old_one_in_force(bootstrap: str, unique: Callable[[str], str]) -> None:
    log = Log(new_installation(bootstrap, unique("refused")))
    await log.append(0, [RulesPublished(at_ms=0, version="1", revision=1, document=churn_rules())])
    day = 100

    async def publish(*values: bytes) -> None:
        writer = LogWriter(log.settings)
        await writer.write({Place(log.settings.topic("control"), 0): [Row(CONTROL_KEY, value) for value in values]})
        await writer.close()

    async def newest_risk() -> RiskRecord | None:
        """Of another customer each time: the first look at one is always told."""
        nonlocal day
        day += 1
        await log.append(0, [order(day, customer=f"c{day}"), tick(day + 1)])
        risks = [decode_decision(record.value) for record in await log.committed("risk", 0)]
        return risks[-1] if risks and isinstance(risks[-1], RiskRecord) and risks[-1].customer_id == f"c{day}" else None

    async def scored_by_the_good_one() -> bool:
        risk = await newest_risk()
        return risk is not None and risk.model == "m1"

    async with running_roles(log.settings, ["clock", "detect"]) as running:
        await publish(encode(model()))
        await until(scored_by_the_good_one)
        await publish(OF_A_NEWER_RELEASE, WITH_NAN, WITH_INFINITY, OF_UNEQUAL_LENGTHS, WITH_A_FEATURE_TOO_MANY)

        async def is_put_aside() -> bool:
            letters = await log.committed("deadletters", 0)
            return [dict(letter.headers)["reason"] for letter in letters] == [b"bad_model"]

        await until(is_put_aside)
        assert clock_of(running.apps["clock"]).counters.documents == 2, "the others do not get past the clock"
        await until(scored_by_the_good_one)
