"""What cannot be put right by trying again: whom it concerns, and what an operator can do about it."""

from enum import Enum, auto
from typing import Final

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InvalidTopicError,
    InvalidTransactionTimeout,
    KafkaError,
    MessageSizeTooLargeError,
    RecordTooLargeError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError as AdminError

from detectors.state_error import StateError
from streams.restore import StateRefusedError
from streams.rights import missing_rights
from streams.settings import Settings, variable
from streams.topics import admin_of

_LIMIT: Final = "transaction.max.timeout.ms"
# These come back each time the same records are tried.
_HOPELESS: Final = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InvalidTopicError,
    InvalidTransactionTimeout,
    MessageSizeTooLargeError,
    RecordTooLargeError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)


class BrokerRefusedError(RuntimeError):
    """The broker does not let this worker do its work; the message says what is missing, and how to give it."""


class Severity(Enum):
    """What a failure of a partition means."""

    PASSING = auto()
    """It may work the next time."""
    PARTITION = auto()
    """This partition cannot be worked on; the others can."""
    WORKER = auto()
    """The installation has to be changed: the worker ends and says so."""


def severity(error: BaseException) -> Severity:
    """Whom a failure concerns.

    >>> severity(TimeoutError()), severity(TopicAuthorizationFailedError("churn.alerts")), severity(StateRefusedError(""))
    (<Severity.PASSING: 1>, <Severity.WORKER: 3>, <Severity.PARTITION: 2>)
    """
    if isinstance(error, (StateError, StateRefusedError)):
        return Severity.PARTITION
    passing = isinstance(error, (KafkaError, OSError, TimeoutError)) and not isinstance(error, _HOPELESS)
    return Severity.PASSING if passing else Severity.WORKER


def explained(settings: Settings, error: BaseException) -> BaseException:
    """The same failure in words that an operator can act on, where there are some; it may ask the broker, and blocks."""
    match error:
        case InvalidTransactionTimeout():
            return BrokerRefusedError(_transaction_timeout(settings))
        case TopicAuthorizationFailedError() | GroupAuthorizationFailedError():
            return BrokerRefusedError(_right(settings, error))
        case TransactionalIdAuthorizationFailed():
            return BrokerRefusedError(
                f"WRITE on the transactional id {_named(error)} is missing: detect needs it on all that begin with "
                f"{settings.prefix}detect-"
            )
        case _:
            return error


def _right(settings: Settings, error: BaseException) -> str:
    """Which operation it was the broker did not say, but it can be asked what is allowed."""
    try:
        missing = missing_rights(settings, ["detect"])
    except AdminError:
        missing = []
    return "; ".join(missing) or f"a right on {_named(error)} is missing: detect must read or write it"


def _transaction_timeout(settings: Settings) -> str:
    asked, allowed = settings.transaction_timeout_ms, _broker_limit(settings)
    return (
        f"the broker does not allow transactions of {asked} ms ({variable('transaction_timeout_ms')}): its {_LIMIT} is "
        f"{'lower' if allowed is None else allowed}. Raise that, or lower the setting"
    )


def _broker_limit(settings: Settings) -> str | None:
    """None if the broker does not tell us: that takes a right of its own."""
    try:
        with admin_of(settings) as admin:
            broker = str(admin.describe_cluster()["brokers"][0]["broker_id"])
            found = admin.describe_configs([ConfigResource(ConfigResourceType.BROKER, broker)], config_filter="all")
            return str(found["broker"][broker][_LIMIT]["value"])
    except (AdminError, LookupError):
        return None


def _named(error: BaseException) -> str:
    """What aiokafka says it was about."""
    return ", ".join(str(name) for arg in error.args for name in (arg if isinstance(arg, set) else [arg])) or "something"
