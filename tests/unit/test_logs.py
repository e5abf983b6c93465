"""What reaches the log while a broker is away: one line about it and interval, and everything else."""

import logging

import pytest

from streams.logs import OneLineABroker

CONNECT = "Unable connect to node with id %s: %s"
FETCH = "Failed fetch messages from %s: %s"


class Log:
    """A logger's handler with a clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._filter = OneLineABroker(lambda: self.now_s)

    def tell(self, name: str, text: str, *args: object) -> str | None:
        record = logging.LogRecord(name, logging.ERROR, "", 0, text, args, None)
        return record.getMessage() if self._filter.filter(record) else None


def test_one_line_is_told_about_a_broker_and_interval_and_the_next_says_how_many_were_not() -> None:
    log = Log()
    assert log.tell("aiokafka", CONNECT, 1, "refused") == "Unable connect to node with id 1: refused"
    assert log.tell("aiokafka", CONNECT, 1, "refused") is None
    assert log.tell("aiokafka.consumer.fetcher", FETCH, 1, "closed") is None
    log.now_s = 10.0
    assert (
        log.tell("aiokafka", CONNECT, 1, "refused")
        == "Unable connect to node with id 1: refused (2 lines about this were kept back)"
    )
    log.now_s = 19.9
    assert log.tell("aiokafka", CONNECT, 1, "refused") is None


def test_another_broker_is_told_of_at_once() -> None:
    log = Log()
    assert log.tell("aiokafka", CONNECT, 1, "refused")
    assert log.tell("aiokafka", CONNECT, 2, "refused")


@pytest.mark.parametrize(
    "text",
    [
        "Unable connect to node with id 1: [Errno 111] Connect call failed",
        "Unable to update metadata from [1]",
        "Unable to request metadata from node with id 1: KafkaConnectionError('Connection at 127.0.0.1:33793 closed')",
        "Failed fetch messages from 1: NodeNotReadyError",
        "Group Coordinator Request failed: NodeNotReadyError: Attempt to send to node which is not ready (node id 1).",
        "Cannot send <class 'AddPartitionsToTxnRequest'> to 1: NodeNotReadyError('')",
        "Error sending OffsetCommitRequest to node 1 [RequestTimedOutError] -- marking coordinator dead",
        "Marking the coordinator dead (node 1)for group churn.learn.",
    ],
)
def test_whatever_aiokafka_says_of_a_broker_counts_for_that_broker(text: str) -> None:
    log = Log()
    assert log.tell("aiokafka", CONNECT, 1, "refused")
    assert log.tell("aiokafka.client", text) is None


def test_a_broker_to_begin_with_is_known_by_its_address() -> None:
    log = Log()
    assert log.tell("aiokafka", 'Unable connect to "kafka-1:9092": %s', "refused")
    assert log.tell("aiokafka", 'Unable connect to "kafka-1:9092": %s', "timeout") is None
    assert log.tell("aiokafka", 'Unable connect to "kafka-2:9092": %s', "refused")


def test_what_is_about_no_broker_is_told_once_for_each_kind() -> None:
    log = Log()
    assert log.tell("aiokafka", "OffsetCommit failed for group %s due to authorization", "a")
    assert log.tell("aiokafka", "OffsetCommit failed for group %s due to authorization", "b") is None
    assert log.tell("aiokafka", "Topic %s not found in cluster metadata", "orders")


def test_our_own_lines_are_never_kept_back() -> None:
    log = Log()
    assert [log.tell("churn.detect", "node 1 is away") for _ in range(3)] == ["node 1 is away"] * 3
