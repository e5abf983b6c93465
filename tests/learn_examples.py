"""Examples for learn on a broker, and what one pass over them says the model should be."""

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer

from detectors.features import NAMES
from detectors.model import ChurnModel
from schemas.codec import encode
from schemas.decisions import ExampleRecord
from schemas.instants import DAY_MS
from streams.settings import Settings


def example(number: int) -> ExampleRecord:
    features = [float((number * (place + 3)) % 17) for place in range(len(NAMES))]
    return ExampleRecord(
        customer_id=f"c{number}",
        at_ms=number * DAY_MS,
        horizon_ms=30 * DAY_MS,
        churned=features[0] > 9,
        names=list(NAMES),
        features=features,
        active=True,
        silence_days=5.0,
    )


async def put(settings: Settings, values: list[bytes], *, transaction: str | None = None) -> None:
    options: dict[str, Any] = {} if transaction is None else {"transactional_id": transaction}
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap, **options) as producer:
        if transaction is not None:
            await producer.begin_transaction()
        sent = [await producer.send(settings.topic("examples"), value, partition=0) for value in values]
        await asyncio.gather(*sent)
        if transaction is not None:
            await producer.commit_transaction()


def oracle(count: int, *, min_examples: int = 300, min_rarer: int = 10) -> ChurnModel:
    model = ChurnModel(min_examples=min_examples, min_rarer=min_rarer)
    for number in range(count):
        model.learn(example(number))
    return model


def learned_bytes(examples: list[ExampleRecord]) -> tuple[bytes, bytes]:
    """The training state and the scoring part after some examples."""
    model = ChurnModel()
    for one in examples:
        model.learn(one)
    return encode(model.snapshot(0)), encode(model.document(0))
