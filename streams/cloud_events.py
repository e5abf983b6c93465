"""CloudEvents 1.0 in Kafka: attributes in `ce_` headers and the data as the value, or all of it as one JSON object."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from schemas.cloud_events import KAFKA_CONTENT_TYPE, KAFKA_PREFIX
from schemas.errors import ContractError

_REQUIRED: Final = ("id", "source", "specversion", "type")
_CODE: Final = "bad_envelope"


def is_binary(headers: Sequence[tuple[str, bytes]]) -> bool:
    """Whether the attributes stand in the headers."""
    if any(
        name.lower() == KAFKA_CONTENT_TYPE and (text or b"").startswith(b"application/cloudevents") for name, text in headers
    ):
        return False
    return any(name.startswith(KAFKA_PREFIX) for name, _ in headers)


def binary_event(value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> dict[str, Any]:
    """The attributes, and under `data` what the value holds.

    Raises:
        ContractError: an attribute is missing or no text, or the data is not JSON.
    """
    try:
        found: dict[str, Any] = {
            name.removeprefix(KAFKA_PREFIX): (text or b"").decode() for name, text in headers if name.startswith(KAFKA_PREFIX)
        }
        content_type = next(((text or b"").decode() for name, text in headers if name.lower() == KAFKA_CONTENT_TYPE), "")
    except UnicodeDecodeError as error:
        raise ContractError("bad_utf8", f"a header of the CloudEvent is not UTF-8: {error}") from None
    if content_type:
        found["datacontenttype"] = content_type
    return {**_checked(found), "data": None if value is None else _data(value, content_type)}


def structured_event(found: Mapping[str, Any]) -> dict[str, Any]:
    """The same of the one object; data in base64 is read.

    Raises:
        ContractError: an attribute is missing, or the data is not JSON.
    """
    event = _checked(found)
    packed = event.get("data_base64")
    if packed is None:
        return event
    try:
        value = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise ContractError(_CODE, "`data_base64` of the CloudEvent is not base64") from None
    return {**event, "data": _data(value, str(event.get("datacontenttype") or ""))}


def _checked(found: Mapping[str, Any]) -> dict[str, Any]:
    for name in _REQUIRED:
        if not isinstance(found.get(name), str) or not found[name]:
            raise ContractError(
                _CODE, f"the record is no CloudEvent: its `{name}` is missing, in a header ce_{name} or in the JSON"
            )
    if found["specversion"].split(".")[0] not in {"0", "1"}:
        raise ContractError(_CODE, f"the CloudEvent has specversion {found['specversion'][:20]!r}; 1.0 is read")
    return dict(found)


def _data(value: bytes, content_type: str) -> object:
    kind = content_type.partition(";")[0].strip().lower()
    if kind and kind not in {"application/json", "text/json"} and not kind.endswith("+json"):
        raise ContractError(_CODE, f"the data of the CloudEvent is {kind[:80]}; application/json is read")
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise ContractError("bad_json", f"the data of the CloudEvent is not JSON: {error}") from None
