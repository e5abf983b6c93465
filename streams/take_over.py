"""Taking a partition over: again and again, with growing pauses, until it is ours or the group gives it to somebody else."""

import asyncio
from collections.abc import Callable

import structlog
from faust import App
from faust.types import TP

from streams.pacing import FIRST_RETRY_S, retry_in_s
from streams.partition_owner import PartitionOwner
from streams.partition_status import PartitionStatus
from streams.refusals import Severity, severity
from streams.restore import NewEngine
from streams.transport import consumer_of

log = structlog.get_logger("churn.detect")


async def take_over(
    app: App,
    status: PartitionStatus,
    new_owner: Callable[[], PartitionOwner],
    new_engine: NewEngine,
    after: PartitionOwner | None,
) -> PartitionOwner | None:
    """An owner that is restored and not started; None if the partition is assigned to somebody else, or the app stops.

    Args:
        app: of the role.
        status: of the partition, kept up to date.
        new_owner: makes one; each attempt has its own, with a writer of its own.
        new_engine: makes the engine that it restores.
        after: the owner of this process that failed. Then the group is asked first whether the partition is still ours:
            else two processes would fence each other for ever.

    Raises:
        Exception: trying again would not help; `streams.refusals.severity` says whom it concerns.
    """
    must_prove = after is not None
    next_offset = after.next_offset if after is not None else 0
    if after is not None:
        await after.leave()
        await asyncio.sleep(retry_in_s(max(1, status.failures)))
    consumer, tp = consumer_of(app), TP(status.topic, status.partition)
    while tp in consumer.assignment() and not app.should_stop:
        pause_s = FIRST_RETRY_S
        if not must_prove or (not app.rebalancing and await consumer.still_member(tp, next_offset)):
            owner = await _attempt(status, new_owner(), new_engine)
            if owner is not None:
                return owner
            pause_s = retry_in_s(status.failures)
        must_prove = True
        await asyncio.sleep(pause_s)
    return None


async def _attempt(status: PartitionStatus, owner: PartitionOwner, new_engine: NewEngine) -> PartitionOwner | None:
    taken = False
    try:
        await owner.take_over(new_engine)
        taken = True
    except Exception as error:
        if severity(error) is not Severity.PASSING:
            raise
        status.failed(str(error) or repr(error))
        status.enter("fencing")
        log.warning(
            "partition.take_over_failed",
            partition=owner.partition,
            error=repr(error),
            failures=status.failures,
            retry_in_ms=round(retry_in_s(status.failures) * 1000),
        )
    finally:
        if not taken:
            await owner.leave()
    return owner if taken else None
