"""How long the read model takes to come back, and what it weighs: a rebuild of customers, and deliver after a flush.

`make bench-redis`. Every customer has a risk with reasons and all features and a stage; every fifth has an open alert. The
Valkey is a process on the same machine, and so is the broker.
"""

import asyncio
import resource
from collections.abc import Iterator
from time import perf_counter
from typing import Any, Final

from alert_records import alert
from benchmarks.figures import parser, report, say
from benchmarks.mix import Line
from benchmarks.topics_filled import broker, fill, installation
from msgspec.structs import replace
from redis import Redis
from valkey_server import running_valkey

from detectors.features import NAMES
from schemas.codec import encode
from schemas.decisions import Because, LifecycleRecord, RiskReason, RiskRecord
from sinks.redis_layout import Keys
from streams.rebuild import rebuild_redis
from streams.settings import Settings
from streams.worker import running_roles

PARTITIONS: Final = 4
ALERTS_IN: Final = 5
KEYS: Final = Keys()
RISK: Final = RiskRecord(
    customer_id="",
    sequence=1,
    at_ms=1_768_901_400_000,
    probability=0.5,
    band="high",
    basis="model",
    reasons=[RiskReason(feature=name, value=0.25, contribution=0.125, about="orders") for name in NAMES[:5]],
    features=dict.fromkeys(NAMES, 12.25),
    model="churn-120000",
    tier="gold",
)
STAGE: Final = LifecycleRecord(customer_id="", sequence=1, at_ms=1_768_901_400_000, stage="active", cause="order.placed")
ALERT: Final = alert(because=[Because(clause="silence_ms", value=7_776_000_000, threshold="P90D")])


def main() -> None:
    """Measure, tell, keep."""
    made = parser(__doc__, runs=3)
    made.add_argument("--customers", type=int, default=100_000, help="in the topics (100,000)")
    options = made.parse_args()
    runs: dict[str, list[float]] = {}
    with (
        broker() as bootstrap,
        running_valkey() as url,
        installation(bootstrap, partitions=PARTITIONS, redis_url=url) as settings,
    ):
        records = asyncio.run(fill(bootstrap, topics(settings, options.customers)))
        say(f"{records} records of {options.customers} customers")
        for _ in range(options.runs):
            for name, value in measured(settings, options.customers, records).items():
                say(f"{name}: {value:,.1f}")
                runs.setdefault(name, []).append(value)
    report("redis", options, runs)


def topics(settings: Settings, customers: int) -> dict[str, list[Iterator[Line]]]:
    """What detect would have written."""
    mine = [range(number, customers, PARTITIONS) for number in range(PARTITIONS)]
    return {
        settings.topic("risk"): [map(risk_of, numbers) for numbers in mine],
        settings.topic("lifecycle"): [map(stage_of, numbers) for numbers in mine],
        settings.topic("alerts"): [
            map(alert_of, range(number, customers, PARTITIONS * ALERTS_IN)) for number in range(PARTITIONS)
        ],
    }


def risk_of(number: int) -> Line:
    """Of a customer by number."""
    record = replace(
        RISK, customer_id=name_of(number), probability=number % 997 / 997, value=1.0 * number, owner=f"o{number % 50}"
    )
    return record.customer_id.encode(), encode(record)


def stage_of(number: int) -> Line:
    """Likewise."""
    return name_of(number).encode(), encode(replace(STAGE, customer_id=name_of(number)))


def alert_of(number: int) -> Line:
    """Likewise."""
    alert_id = f"00000000-0000-5000-8000-{number:012}"
    return alert_id.encode(), encode(replace(ALERT, customer_id=name_of(number), alert_id=alert_id))


def name_of(number: int) -> str:
    """As long as ids are."""
    return f"customer-{number:08}"


def measured(settings: Settings, customers: int, records: int) -> dict[str, float]:
    """A rebuild into an empty Redis, one over what is there, and what deliver does by itself after a flush."""
    client: Any = Redis.from_url(settings.redis_url)
    client.execute_command("FLUSHALL", "SYNC")  # else memory is given back while we measure
    empty_bytes = client.info("memory")["used_memory"]
    first = rebuild_redis(settings, bar=False)
    weight = (client.info("memory")["used_memory"] - empty_bytes) / customers
    again = rebuild_redis(settings, bar=False)
    client.execute_command("FLUSHALL", "SYNC")
    came_back_s = asyncio.run(after_a_flush(settings, client, records))
    client.close()
    return {
        "redis_rebuild_per_s": first.records / first.took_s,
        "redis_rebuild_again_per_s": again.records / again.took_s,
        "redis_deliver_per_s": records / came_back_s,
        "redis_customer_bytes": weight,
        "redis_rebuild_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


async def after_a_flush(settings: Settings, client: Any, records: int) -> float:
    """Seconds until deliver has told everything anew, by the positions that it leaves."""
    began_s = perf_counter()
    async with running_roles(settings, ["deliver"]):
        while True:
            held = await asyncio.to_thread(client.hgetall, KEYS.layout)
            if sum(int(text) for name, text in held.items() if name.startswith(b"position:")) >= records:
                return perf_counter() - began_s
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    main()
