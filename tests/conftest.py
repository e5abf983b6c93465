"""Fixtures that any test may ask for."""

import contextlib
import logging
import os
import secrets
from collections.abc import Callable, Iterator

import pytest
import structlog
from hypothesis import settings
from kafka_server import KafkaUnavailable, running_kafka

from streams.devbroker.process import spawn_broker

# How long a machine takes says nothing about the code.
settings.register_profile("churnwatch", deadline=None)
settings.load_profile("churnwatch")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--rewrite-golden`, which `make golden` uses."""
    parser.addoption("--rewrite-golden", action="store_true", help="write the alerts of golden stories anew")


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command that a test runs in this process sends the logs elsewhere: not those of the next test."""
    root, aiokafka = logging.getLogger(), logging.getLogger("aiokafka")
    handlers, levels = root.handlers[:], (root.level, aiokafka.level)
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        aiokafka.setLevel(levels[1])


@pytest.fixture(scope="session")
def bootstrap() -> Iterator[str]:
    """A broker: the one `CHURN_BOOTSTRAP` names, Apache Kafka with `CHURN_KAFKA=1`, else the development broker."""
    with contextlib.ExitStack() as stack:
        named = os.environ.get("CHURN_BOOTSTRAP")
        if named:
            yield named
        elif os.environ.get("CHURN_KAFKA") == "1":
            yield _real_kafka(stack)
        else:
            yield stack.enter_context(spawn_broker())


def _real_kafka(stack: contextlib.ExitStack) -> str:
    try:
        return stack.enter_context(running_kafka())
    except KafkaUnavailable as unavailable:
        if os.environ.get("CI") == "true":
            pytest.fail(str(unavailable))
        pytest.skip(str(unavailable))


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Names that no other test uses: `unique("orders")` is `orders-<hex>`."""
    return lambda prefix: f"{prefix}-{secrets.token_hex(4)}"
