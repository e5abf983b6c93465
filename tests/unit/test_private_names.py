"""Every private name of Faust, mode and aiokafka that is leaned on: it is there, and this list is complete.

When a test fails after an upgrade, read the named file of the new release before anything else: the override may be
needed no more, or may have to move.
"""

import ast
import importlib.metadata
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

import aiokafka.producer.sender
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.consumer.fetcher import Fetcher, FetchError, FetchResult, PartitionRecords
from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance, GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState, TopicPartitionState
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
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
from mode.threads import MethodQueue, ServiceThread

STREAMS: Final = Path(__file__).parents[2] / "streams"
Owner = type[Any] | ModuleType | Callable[..., Any]


class Lean(NamedTuple):
    """A name of a library that a module of ours would break without."""

    owner: Owner
    name: str
    module: str
    why: str


class Passage(NamedTuple):
    """A place in a library that has to read as it does."""

    owner: Owner
    text: str
    module: str
    why: str


NAMES: Final = [
    Lean(faust_consumer.Consumer, "_drain_messages", "transport", "the loop that fetches is ours"),
    Lean(faust_consumer.Consumer, "_get_active_partitions", "transport", "what is not paused is fetched"),
    Lean(faust_consumer.Consumer, "perform_seek", "transport", "where reading goes on after a rebalance"),
    Lean(faust_consumer.Consumer, "verify_event_path", "transport", "a check that would complain of our acknowledgement"),
    Lean(faust_consumer.Consumer, "on_partitions_revoked", "transport", "commits before Faust forgets"),
    Lean(faust_consumer.Consumer, "on_partitions_assigned", "transport", "each has its share of the backlog"),
    Lean(faust_consumer.Consumer, "stop_flow", "transport", "wakes a fetch that waits"),
    Lean(faust_consumer.Consumer, "resume_flow", "transport", "wakes a fetch that waits"),
    Lean(faust_consumer.Consumer, "commit", "transport", "commits are best effort"),
    Lean(driver.Consumer, "_new_consumer_thread", "transport", "the thread is ours"),
    Lean(faust_consumer.ThreadDelegateConsumer, "_thread", "transport", "the thread is ours"),
    Lean(Conductor, "_tp_index", "transport", "the channel that a chunk goes to"),
    Lean(ConsumerMessage, "acked", "transport", "nothing is acknowledged behind our back"),
    Lean(ConsumerMessage, "tracked", "transport", "nothing is acknowledged behind our back"),
    Lean(Service, "_stopped", "transport", "the loop that fetches ends"),
    Lean(Service, "_crashed", "worker", "a role that failed ends the process"),
    Lean(driver.AIOKafkaConsumerThread, "_create_worker_consumer", "fetching", "isolation, waits and assignor"),
    Lean(driver.AIOKafkaConsumerThread, "_ensure_consumer", "fetching", "aiokafka's consumer"),
    Lean(driver.AIOKafkaConsumerThread, "_consumer", "fetching", "aiokafka's consumer"),
    Lean(driver.AIOKafkaConsumerThread, "seek_to_committed", "fetching", "seeks are counted"),
    Lean(driver.AIOKafkaConsumerThread, "close", "fetching", "it must not close what belongs to another loop"),
    Lean(driver.AIOKafkaConsumerThread, "on_thread_stop", "fetching", "leaving the group is bounded"),
    Lean(ServiceThread, "_stopped_set", "fetching", "it raises when the thread has ended"),
    Lean(ServiceThread, "thread_loop", "fetching", "where its work is run"),
    Lean(App, "on_stop", "apps", "finishing what is at work is bounded"),
    Lean(App, "on_before_shutdown", "apps", "roles let go before the consumer does"),
    Lean(TableManager, "_update_channels", "apps", "started without the second's wait"),
    Lean(AIOKafkaConsumer, "_isolation_level", "fetching", "readers of committed records"),
    Lean(AIOKafkaConsumer, "_max_poll_records", "fetching", "most records of a chunk"),
    Lean(AIOKafkaConsumer, "_fetch_max_wait_ms", "fetching", "how long a fetch may wait"),
    Lean(AIOKafkaConsumer, "_partition_assignment_strategy", "fetching", "the assignor is ours"),
    Lean(AIOKafkaConsumer, "_fetcher", "fetching", "records are taken where they arrive"),
    Lean(AIOKafkaConsumer, "_coordinator", "fetching", "generations, and leaving the group"),
    Lean(
        AIOKafkaConsumer,
        "_client",
        "group_leaving",
        "closed when the consumer cannot be stopped in time; it looks at topics again",
    ),
    Lean(AIOKafkaClient, "force_metadata_update", "fetching", "it looks at the partitions of topics again"),
    Lean(GroupCoordinator, "fetch_committed_offsets", "fetching", "committed offsets with their notes"),
    Lean(AIOKafkaClient, "get_random_node", "topic_ids", "whom to ask first"),
    Lean(AIOKafkaClient, "send", "topic_ids", "a request that aiokafka has not in this version"),
    Lean(AIOKafkaConsumer, "_closed", "fetching", "the loop that fetches ends"),
    Lean(AIOKafkaConsumer, "_subscription", "fetching", "positions and ends of partitions"),
    Lean(AIOKafkaClient, "_conns", "group_leaving", "the connection to the coordinator is made anew"),
    Lean(ConnectionGroup, "COORDINATION", "group_leaving", "the connection to the coordinator is made anew"),
    Lean(Fetcher, "fetched_records", "fetching", "records are taken where they arrive"),
    Lean(Fetcher, "_create_fetch_waiter", "fetching", "what wakes when records arrive"),
    Lean(Fetcher, "_subscriptions", "fetching", "whether a rebalance is at work"),
    Lean(Fetcher, "_closed", "fetching", "the loop that fetches ends"),
    Lean(Fetcher, "_records", "fetching", "what has been fetched and not taken"),
    Lean(Fetcher, "_notify", "fetching", "the fetcher looks again"),
    Lean(Fetcher, "_wait_consume_future", "fetching", "the fetcher looks again"),
    Lean(Fetcher, "_fetch_max_wait_ms", "fetching", "fetches wait less while a partition is full"),
    Lean(FetchResult, "_backoff", "fetching", "a full partition holds no other back"),
    Lean(FetchResult, "_partition_records", "fetching", "records as they were decoded"),
    Lean(PartitionRecords, "_consumer_record", "fetching", "records as they were decoded"),
    Lean(FetchError, "_backoff", "fetching", "a full partition holds no other back"),
    Lean(SubscriptionState, "fetch_context", "fetching", "somebody reads"),
    Lean(SubscriptionState, "reassignment_in_progress", "fetching", "whether a rebalance is at work"),
    Lean(TopicPartitionState, "has_valid_position", "fetching", "positions and ends of partitions"),
    Lean(TopicPartitionState, "highwater", "fetching", "positions and ends of partitions"),
    Lean(TopicPartitionState, "timestamp", "fetching", "positions and ends of partitions"),
    Lean(GroupCoordinator, "generation", "fetching", "what is held is claimed with its generation"),
    Lean(GroupCoordinator, "_maybe_leave_group", "group_leaving", "leaving the group over another connection"),
    Lean(GroupCoordinator, "_coordination_task", "group_failures", "it is seen when it ends"),
    Lean(GroupCoordinator, "request_rejoin", "group_failures", "a member that failed joins again"),
    Lean(GroupCoordinator, "check_errors", "group_failures", "the error is taken"),
    Lean(Fetcher, "_fetch_task", "group_failures", "it is seen when it ends"),
    Lean(SubscriptionState, "abort_waiters", "group_failures", "replaced: who is told of errors"),
    Lean(driver.AIOKafkaConsumerThread, "on_start", "fetching", "what aiokafka's tasks fail with is heard"),
    Lean(aiokafka.producer.sender, "BACKOFF_OVERRIDE", "transactions", "a shorter wait between transactions"),
    Lean(SendProduceReqHandler, "_can_retry", "transactions", "what is worth another attempt"),
    Lean(AIOKafkaProducer, "_sender", "transactions", "its sender is replaced"),
    Lean(TransactionManager, "_transaction_waiter", "transactions", "its failed transactions are told"),
    Lean(AIOKafkaProducer, "_txn_manager", "transactions", "its failed transactions are told"),
]

PASSAGES: Final = [
    Passage(AIOKafkaConsumer.start, "isolation_level=self._isolation_level", "fetching", "set between making and starting"),
    Passage(AIOKafkaConsumer.start, "self._fetcher = Fetcher(", "fetching", "set between making and starting"),
    Passage(AIOKafkaConsumer.start, "fetch_max_wait_ms=self._fetch_max_wait_ms", "fetching", "set between making and starting"),
    Passage(
        AIOKafkaConsumer.start, "assignors=self._partition_assignment_strategy", "fetching", "set between making and starting"
    ),
    Passage(Fetcher._get_actions_per_node, "record.calculate_backoff()", "fetching", "what was fetched holds its broker back"),
    Passage(Fetcher._get_actions_per_node, "self._fetch_max_wait_ms", "fetching", "read for each fetch"),
    Passage(Fetcher.fetched_records, "if drained or not timeout", "fetching", "a timeout of 0 never waits"),
    Passage(FetchResult.calculate_backoff, "self._backoff - lifetime", "fetching", "0 is no backoff"),
    Passage(PartitionRecords._unpack_records, "self._consumer_record(tp, record)", "fetching", "looked up for each record"),
    Passage(
        Fetcher.close, "x.cancel()\n            await x", "group_leaving", "why a stop is caught: it raises a cancellation"
    ),
    Passage(
        GroupCoordinator._on_join_complete, "assignor.on_assignment(assignment)", "assignment", "how it learns what it holds"
    ),
    Passage(
        GroupCoordinator._perform_assignment, "assignor.assign(self._cluster, member_metadata)", "assignment", "how it is asked"
    ),
    Passage(GroupCoordinator._push_error_to_user, "self._subscription.abort_waiters(exc)", "group_failures", "who is told"),
    Passage(GroupCoordinator.check_errors, "self._error_consumed_fut.set_result(None)", "group_failures", "the error is taken"),
    Passage(
        CoordinatorGroupRebalance.perform_group_join,
        "            try_join = True\n            while try_join:",
        "assignment",
        "why it bears one name: a join is sent for each",
    ),
    Passage(RoundRobinPartitionAssignor, 'name = "roundrobin"', "assignment", "the name that it bears"),
    Passage(MethodQueue.__init__, "num_workers: int = 2", "fetching", "why it is not used: a fetch and a commit would fill it"),
    Passage(Recovery._resume_streams, "consumer.perform_seek()", "transport", "when it is called"),
    Passage(App._on_rebalance_when_stopped, "self.consumer.close()", "fetching", "why closing does nothing"),
    Passage(TableManager.on_start, "await self.sleep(1.0)", "apps", "what is left out"),
    Passage(Topic.__aiter__, "self.app.topics.add(", "apps", "how it is known that the agents read"),
    Passage(aiokafka.producer.sender, "return BACKOFF_OVERRIDE", "transactions", "read at each use"),
    Passage(AIOKafkaProducer.__init__, "self._sender = Sender(", "transactions", "where it is made"),
    Passage(AIOKafkaProducer.__init__, "self._txn_manager = TransactionManager(", "transactions", "where it is made"),
    Passage(
        TransactionManager.error_transaction, "self._transaction_waiter.set_exception(exc)", "transactions", "how it is told"
    ),
    Passage(Sender._send_produce_req, "SendProduceReqHandler(self, batches)", "transactions", "what is overridden"),
    Passage(Sender._send_produce_req, "self._in_flight.remove(node_id)", "transactions", "what is overridden"),
    Passage(Sender._send_produce_req, "self._muted_partitions.remove(tp)", "transactions", "what is overridden"),
]


@pytest.mark.parametrize(
    ("distribution", "version"), [("faust-streaming", "0.15.3"), ("aiokafka", "0.14."), ("mode-streaming", "0.7.")]
)
def test_the_release_is_the_one_that_was_read(distribution: str, version: str) -> None:
    assert importlib.metadata.version(distribution).startswith(version)


@pytest.mark.parametrize("lean", NAMES, ids=lambda lean: f"{_title(lean.owner)}.{lean.name}")
def test_a_name_is_where_it_was(lean: Lean) -> None:
    made_in_it = f"self.{lean.name} = " in inspect.getsource(lean.owner) or f"self.{lean.name}: " in inspect.getsource(
        lean.owner
    )
    assert hasattr(lean.owner, lean.name) or made_in_it, (
        f"{_title(lean.owner)} of {_release(lean.owner)} has no {lean.name}; streams/{lean.module}.py leans on it: {lean.why}"
    )


@pytest.mark.parametrize("passage", PASSAGES, ids=lambda passage: f"{_title(passage.owner)}: {passage.text.strip()[:40]}")
def test_a_passage_reads_as_it_did(passage: Passage) -> None:
    assert passage.text in inspect.getsource(passage.owner), (
        f"{_title(passage.owner)} of {_release(passage.owner)} reads no more: {passage.text!r}; "
        f"streams/{passage.module}.py leans on it: {passage.why}"
    )


def test_no_private_name_is_leaned_on_that_is_not_in_the_list() -> None:
    listed = {lean.name for lean in NAMES}
    unlisted = [f"{place}: {name}" for place, name in _private_names_of_others() if name not in listed]
    assert unlisted == []


def test_the_transport_shortens_the_wait_between_transactions() -> None:
    importlib.import_module("streams.transactions")
    assert aiokafka.producer.sender.BACKOFF_OVERRIDE == 0.002


def _private_names_of_others() -> Iterator[tuple[str, str]]:
    """`x._name` in our modules, where x is neither `self` nor `cls` nor `os`, and the module itself makes no such name."""
    for path in sorted(STREAMS.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        own |= {node.attr for node in ast.walk(tree) if _is_own(node) and isinstance(node, ast.Attribute)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
                inherited = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "super"
                if inherited or (not _is_own(node) and node.attr not in own):
                    yield f"{path.name}:{node.lineno}", node.attr


def _is_own(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in {"self", "cls", "os"}


def _title(owner: Owner) -> str:
    module = owner.__name__ if isinstance(owner, ModuleType) else f"{owner.__module__}.{owner.__qualname__}"
    return str(module)


def _release(owner: Owner) -> str:
    package = _title(owner).partition(".")[0]
    distribution = {"faust": "faust-streaming", "mode": "mode-streaming"}.get(package, package)
    return f"{distribution} {importlib.metadata.version(distribution)}"
