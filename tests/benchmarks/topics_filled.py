"""An installation of its own for a benchmark, and topics that are filled before the clock is started."""

import contextlib
import logging
import os
import secrets
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from benchmarks.mix import Line
from kafka.admin import KafkaAdminClient
from kafka_server import KafkaUnavailable, running_kafka

from streams.settings import Settings, load_settings
from streams.topics import ensure_topics, topic_specs

# A new topic has no leader for a moment; the client tries again, and says so each time.
logging.getLogger("aiokafka").setLevel(logging.ERROR)

_BATCH_BYTES: Final = 900_000
_PATIENCE_MS: Final = 60_000


@contextlib.contextmanager
def broker() -> Iterator[str]:
    """The broker that CHURN_BOOTSTRAP names, else one of our own that is gone afterwards; yields where it is."""
    # As Ctrl-C does: so that what was started, and what was made at somebody else's broker, does not stay behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    named = os.environ.get("CHURN_BOOTSTRAP")
    if named:
        yield named
        return
    try:
        with running_kafka() as bootstrap:
            yield bootstrap
    except KafkaUnavailable as unavailable:
        sys.exit(str(unavailable))


@contextlib.contextmanager
def installation(bootstrap: str, **fields: object) -> Iterator[Settings]:
    """Topics that nobody else uses, deleted in the end."""
    name = f"bench-{secrets.token_hex(4)}"
    settings = load_settings(bootstrap=bootstrap, prefix=f"{name}.", source_prefix=f"{name}-", **fields)
    ensure_topics(settings)
    try:
        yield settings
    finally:
        admin: Any = KafkaAdminClient(bootstrap_servers=bootstrap)
        admin.delete_topics([spec.name for spec in topic_specs(settings)])
        admin.close()


async def fill(bootstrap: str, lines_by_topic: Mapping[str, Sequence[Iterable[Line]]]) -> int:
    """Write lines to the ends of partitions, outside of transactions, in large batches; returns how many."""
    producer: Any = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=_BATCH_BYTES, request_timeout_ms=_PATIENCE_MS)
    count = 0
    async with producer:
        for topic, partitions in lines_by_topic.items():
            for partition, lines in enumerate(partitions):
                count += await _fill(producer, topic, partition, lines)
    return count


async def _fill(producer: Any, topic: str, partition: int, lines: Iterable[Line]) -> int:
    batch = producer.create_batch()
    written, count = [], 0
    for key, value in lines:
        if batch.append(key=key, value=value, timestamp=None) is None:
            written.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None)
        count += 1
    if count:
        written.append(await producer.send_batch(batch, topic, partition=partition))
    for one in written:
        await one
    return count
