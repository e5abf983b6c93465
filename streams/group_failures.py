"""What aiokafka's tasks fail with: it keeps that for a reader who asks, and Faust's fetches never ask.

`GroupCoordinator._push_error_to_user` (consumer/group_coordinator.py) waits until somebody has taken the error, so a
process stood still outside its group, alive and silent; and nobody saw that `_fetch_requests_routine`
(consumer/fetcher.py) had ended.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

import structlog
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    KafkaError,
    TopicAuthorizationFailedError,
)

_JOIN_AGAIN_AFTER_S: Final = 1.0
# Joining again would lead to the same: the operator is needed.
_HOPELESS: Final = (
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    TopicAuthorizationFailedError,
)

log = structlog.get_logger("churn.group")


def watch_group(consumer: Any, group_id: str, fail: Callable[[BaseException], None]) -> None:  # noqa: ANN401 - aiokafka's
    """See to it that a member which fails joins again, and that a failure which stays is told. Call it in the consumer's loop.

    Args:
        consumer: has been started.
        group_id: for the log.
        fail: called with what nothing can be done about.
    """
    coordinator, loop = consumer._coordinator, asyncio.get_running_loop()

    def failed(error: BaseException) -> None:
        if isinstance(error, _HOPELESS):
            fail(error)
        else:
            log.warning("group.failed", group=group_id, error=repr(error), joins_again_in_ms=int(_JOIN_AGAIN_AFTER_S * 1000))
            loop.call_later(_JOIN_AGAIN_AFTER_S, join_again)

    def join_again() -> None:
        # A heartbeat or a look-up of offsets that failed is begun anew by a join, and by nothing else.
        coordinator.request_rejoin()
        with contextlib.suppress(KafkaError):
            coordinator.check_errors()  # takes the error, and lets the coordinator go on

    def ended(task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            fail(error)

    consumer._subscription.abort_waiters = failed
    coordinator._coordination_task.add_done_callback(ended)
    consumer._fetcher._fetch_task.add_done_callback(ended)
