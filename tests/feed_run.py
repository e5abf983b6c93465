"""An installation whose feeds have a past: what the clock knows of them is written before the workers start."""

import time
from collections.abc import Iterable, Sequence

from aiokafka import AIOKafkaProducer
from detect_log import Log, until

from schemas.codec import Record, decode_decision, decode_record, encode
from schemas.control import Tick
from schemas.decisions import AlertRecord
from schemas.events import OrderPlaced
from schemas.instants import HOUR_MS
from schemas.progress import ARRIVALS_KEY, Arrivals
from streams.settings import Settings


def now_ms() -> int:
    """Of this machine, which the broker runs on too."""
    return time.time_ns() // 1_000_000


async def put(settings: Settings, topic: str, rows: Iterable[tuple[str | None, Record]], partition: int | None = None) -> None:
    """Write records to a topic by its full name, each with its key; all are acknowledged."""
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        sent = [
            await producer.send(topic, encode(record), key=None if key is None else key.encode(), partition=partition)
            for key, record in rows
        ]
        for acknowledged in sent:
            await acknowledged


async def put_orders(settings: Settings, orders: Sequence[OrderPlaced]) -> None:
    """Write orders to their source topic, by customer."""
    await put(settings, settings.source_prefix + "orders", [(order.customer_id, order) for order in orders])


async def learned(settings: Settings, *, last_ms: int, silent: bool = False) -> None:
    """An earlier clock saw a thousand orders in each hour of three weeks, the last one then."""
    hours = 3 * 168
    kept = Arrivals(
        feed="orders",
        first_hour=last_ms // HOUR_MS - hours,
        counts=[1_000] * hours,
        last_ms=last_ms,
        silent_since_ms=last_ms if silent else None,
    )
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        await producer.send_and_wait(settings.topic("progress"), encode(kept), key=f"{ARRIVALS_KEY}orders".encode())


async def alerts(log: Log, *, feed: str | None = None) -> list[AlertRecord]:
    """The alerts about a feed, or those about customers, by partition and offset."""
    partitions = range(log.settings.partitions)
    found = [decode_decision(value) for partition in partitions for value in await log.alerts(partition)]
    return [alert for alert in found if isinstance(alert, AlertRecord) and alert.feed == feed]


async def until_states(log: Log, *wanted: str, feed: str | None = None) -> None:
    """Wait until these are the states of the alerts."""

    async def there() -> bool:
        return [alert.state for alert in await alerts(log, feed=feed)] == list(wanted)

    await until(there)


async def marks_ms(log: Log, feed: str) -> list[int]:
    """Of the feed, in the order of the ticks of partition 0."""
    ticks = (decode_record(record.value) for record in await log.committed("events", 0))
    marks = (tick.marks_ms.get(feed) for tick in ticks if isinstance(tick, Tick))
    return [mark_ms for mark_ms in marks if mark_ms is not None]
