"""What of a record a recipient does not get: fields that are left out, and customers under another name."""

import dataclasses
import hmac
from typing import Any, Final, TypeVar

import msgspec

from schemas.decisions import AlertRecord, LifecycleRecord, RiskRecord
from schemas.secret import Secret
from sinks.base import Forgotten

R = TypeVar("R", bound=AlertRecord | RiskRecord | LifecycleRecord | Forgotten)

_WHO_IT_IS_ABOUT: Final = frozenset({"customer_id", "feed"})
_HEX_DIGITS: Final = 32


def _absent(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """What the fields hold that a record need not have, while it does not have them."""
    return {
        field.name: field.default_factory() if field.default is msgspec.NODEFAULT else field.default
        for field in msgspec.structs.fields(struct)
        if not field.required and field.name not in _WHO_IT_IS_ABOUT
    }


_ABSENT: Final[dict[type, dict[str, Any]]] = {struct: _absent(struct) for struct in (AlertRecord, RiskRecord, LifecycleRecord)}
REMOVABLE: Final = frozenset(name for fields in _ABSENT.values() for name in fields)
"""Fields that a record is whole without, whichever kind of record has them."""


@dataclasses.dataclass(frozen=True, slots=True)
class Redaction:
    """What a recipient does not get."""

    fields: frozenset[str] = frozenset()
    """Of `REMOVABLE`: these are left out."""
    customer_key: Secret | None = None
    """With a key, a keyed hash stands for each customer: always the same, and nobody can make it without the key."""


ALL_OF_IT: Final = Redaction()
"""Nothing is left out."""


def redacted(record: R, redaction: Redaction) -> R:
    """The record as its recipient gets it: one of the same kind, which every reader of such records takes.

    What else may name a customer (what people wrote, the numbers of tickets and orders) is left out by its field.
    """
    absent = {} if isinstance(record, Forgotten) else _ABSENT[type(record)]
    changes = {name: absent[name] for name in redaction.fields if name in absent}
    if record.customer_id is not None and redaction.customer_key is not None:
        changes["customer_id"] = pseudonym(redaction.customer_key, record.customer_id)
    if isinstance(record, Forgotten):
        return dataclasses.replace(record, **changes)
    return msgspec.structs.replace(record, **changes)


def pseudonym(key: Secret, customer_id: str) -> str:
    """What stands for a customer: 128 bits of an HMAC-SHA256, in hexadecimal digits."""
    return hmac.digest(key.reveal().encode(), customer_id.encode(), "sha256").hex()[:_HEX_DIGITS]
