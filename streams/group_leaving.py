"""Leaving a consumer group and closing the consumer, in a time that no broker can make longer.

`AIOKafkaConsumer.stop` waits for each answer as long as `broker_request_timeout`, for one to a request to join as long as
the group's slowest member takes, and `Fetcher.close` (consumer/fetcher.py) raises the cancellation of a fetch that failed:
Faust's thread (mode/threads.py) then never says that it has ended, and the app waits for it for a minute.
"""

import asyncio
from typing import Any, Final

from aiokafka.client import ConnectionGroup

_LEAVE_WITHIN_S: Final = 0.75
_LEAVE_ANEW_WITHIN_S: Final = 0.5


async def left_in_time(stopped: "asyncio.Task[None]", consumer: Any) -> bool:  # noqa: ANN401 - aiokafka's
    """Whether the consumer could be closed; if it does not end by itself, the group is left over another connection.

    Args:
        stopped: stops the consumer; cancelled when its time is up.
        consumer: of aiokafka; not to be used afterwards.
    """
    if await _well_ended(stopped, _LEAVE_WITHIN_S):
        return True
    return await _well_ended(asyncio.ensure_future(_leave_anew(consumer)), _LEAVE_ANEW_WITHIN_S)


async def _well_ended(task: "asyncio.Task[None]", timeout_s: float) -> bool:
    """Whether a task ends by itself within a time, and without an error; it is cancelled if not."""
    await asyncio.wait([task], timeout=timeout_s)
    if task.done():
        return not task.cancelled() and task.exception() is None
    task.cancel()
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    return False


async def _leave_anew(consumer: Any) -> None:  # noqa: ANN401
    """Leave the group over a connection of its own: the old one may wait for the answer to a request to join."""
    client, coordinator = consumer._client, consumer._coordinator
    for (_node, group), connection in list(client._conns.items()):
        if group is ConnectionGroup.COORDINATION:
            connection.close()
    await coordinator._maybe_leave_group()
    await client.close()
