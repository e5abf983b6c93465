"""A worker's metrics as Prometheus sees them: what was read, where it is, how much is left."""

import asyncio
import socket
import urllib.request
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaProducer
from detect_log import new_installation, until
from prometheus_client.parser import text_string_to_metric_families

from streams.worker import running_roles

pytestmark = pytest.mark.kafka


async def test_a_scrape_tells_positions_and_lags_of_all_roles(bootstrap: str, unique: Callable[[str], str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = new_installation(bootstrap, unique("scrape"), heartbeat_ms=100, tick_ms=100, metrics_port=port)
    orders = settings.source_prefix + "orders"

    async def value(name: str, **labels: str) -> float | None:
        address = f"http://127.0.0.1:{port}/metrics"
        text = await asyncio.to_thread(lambda: urllib.request.urlopen(address, timeout=10).read().decode())
        samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        return next((s.value for s in samples if s.name == name and labels.items() <= s.labels.items()), None)

    async with (
        running_roles(settings, ["ingest", "detect", "clock"]),
        AIOKafkaProducer(bootstrap_servers=bootstrap) as producer,
    ):
        for _ in range(3):
            await producer.send_and_wait(orders, b"{", partition=1)

        async def read_to_the_end() -> bool:
            place = {"role": "ingest", "topic": orders, "partition": "1"}
            position, lag = await value("churn_position_offset", **place), await value("churn_lag_records", **place)
            return (position, lag) == (3, 0) and await value("churn_dead_letters_total", reason="bad_json") == 3

        await until(read_to_the_end)

        async def ticks_were_applied() -> bool:
            return bool(await value("churn_ticks_total")) and bool(await value("churn_detect_records_total"))

        await until(ticks_were_applied)
        assert await value("churn_feed_status", feed="orders", status="live") == 1
        assert await value("churn_feed_mark_lag_seconds", feed="orders") is not None
