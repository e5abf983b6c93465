"""Private names of Faust and aiokafka that streams/transport.py and its neighbours lean on.

When one of these tests fails after an upgrade, read the named file of the new release before anything else: the
override may be needed no more, or may have to move.
"""

import importlib.metadata
import inspect

import aiokafka.producer.sender
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.producer.sender import Sender, SendProduceReqHandler
from aiokafka.producer.transaction_manager import TransactionManager
from faust.app.base import App
from faust.tables import TableManager
from faust.tables.recovery import Recovery
from faust.topics import Topic
from faust.transport import consumer as faust_consumer
from faust.transport.conductor import Conductor
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import ConsumerMessage
from mode import Service


@pytest.mark.parametrize(("distribution", "version"), [("faust-streaming", "0.15.3"), ("aiokafka", "0.14.")])
def test_the_release_is_the_one_that_was_read(distribution: str, version: str) -> None:
    assert importlib.metadata.version(distribution).startswith(version)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (faust_consumer.Consumer, "_drain_messages"),
        (faust_consumer.Consumer, "_get_active_partitions"),
        (faust_consumer.Consumer, "perform_seek"),
        (faust_consumer.Consumer, "verify_event_path"),
        (faust_consumer.Consumer, "on_partitions_revoked"),
        (faust_consumer.Consumer, "on_partitions_assigned"),
        (driver.Consumer, "_new_consumer_thread"),
        (driver.AIOKafkaConsumerThread, "_create_worker_consumer"),
        (driver.AIOKafkaConsumerThread, "_ensure_consumer"),
        (driver.AIOKafkaConsumerThread, "call_thread"),
        (driver.AIOKafkaConsumerThread, "seek_to_committed"),
        (Recovery, "_resume_streams"),
        (TableManager, "_update_channels"),
        (App, "on_before_shutdown"),
        (Fetcher, "fetched_records"),
        (Fetcher, "_create_fetch_waiter"),
        (SubscriptionState, "fetch_context"),
        (SubscriptionState, "reassignment_in_progress"),
        (aiokafka.producer.sender, "BACKOFF_OVERRIDE"),
        (SendProduceReqHandler, "_can_retry"),
    ],
)
def test_a_name_is_where_it_was(owner: object, name: str) -> None:
    assert hasattr(owner, name)


@pytest.mark.parametrize(
    ("owner", "text"),
    [
        (AIOKafkaConsumer.__init__, "self._isolation_level = isolation_level"),
        (AIOKafkaConsumer.__init__, "self._max_poll_records = max_poll_records"),
        (AIOKafkaConsumer.start, "isolation_level=self._isolation_level"),
        (AIOKafkaConsumer.start, "self._fetcher = Fetcher("),
        (AIOKafkaConsumer.start, "fetch_max_wait_ms=self._fetch_max_wait_ms"),
        (Fetcher.__init__, "self._subscriptions = subscriptions"),
        (Conductor.__init__, "self._tp_index = "),
        (ConsumerMessage.__init__, "self.acked"),
        (ConsumerMessage.__init__, "self.tracked"),
        (Service.__init__, "self._stopped = "),
        (Service.__init__, "self._crashed = "),
        (Recovery._resume_streams, "consumer.perform_seek()"),
        (TableManager.on_start, "await self.sleep(1.0)"),
        (Topic.__aiter__, "self.app.topics.add("),
        (aiokafka.producer.sender, "return BACKOFF_OVERRIDE"),
        (AIOKafkaProducer.__init__, "self._sender = Sender("),
        (AIOKafkaProducer.__init__, "self._txn_manager = TransactionManager("),
        (TransactionManager.error_transaction, "self._transaction_waiter.set_exception(exc)"),
        (Sender._send_produce_req, "SendProduceReqHandler(self, batches)"),
        (Sender._send_produce_req, "self._in_flight.remove(node_id)"),
        (Sender._send_produce_req, "self._muted_partitions.remove(tp)"),
    ],
)
def test_an_attribute_is_made_where_it_was(owner: object, text: str) -> None:
    assert text in inspect.getsource(owner)  # type: ignore[arg-type]


def test_the_transport_shortens_the_wait_between_transactions() -> None:
    importlib.import_module("streams.transactions")
    assert aiokafka.producer.sender.BACKOFF_OVERRIDE == 0.002
