"""What goes wrong at the door, as one small tree.

ContractError            a record or document that breaks the contract: what, where, why
    UnknownType          its `type` is not one of this release
"""

from collections.abc import Mapping
from typing import Final

CODES: Final[Mapping[str, str]] = {
    "alert_not_open": "an action on an alert that is over, or that only opens later",
    "alert_unknown": "an action on an alert that the customer does not have",
    "bad_avro": "bytes that are not what their Avro schema says",
    "bad_calendar": "opening hours or dates of a calendar that make no sense",
    "bad_document": "a published document that does not have its form",
    "bad_duration": "not an ISO 8601 duration, or one of the wrong sort",
    "bad_envelope": "a record that does not have the envelope that its mapping names",
    "bad_field": "a field of the wrong type, or outside what it may be",
    "bad_frame": "a record without the frame of a schema registry",
    "bad_holidays": "a country or year whose public holidays are not known",
    "bad_json": "not JSON, or nested too deeply",
    "bad_model": "a model whose lists do not fit together, or that this release cannot score",
    "bad_number": "a number that is not finite",
    "bad_place": "a redriven record that does not say where it stood first",
    "bad_predicate": "an expression that does not compile, or names what is not there",
    "bad_row": "a row of a file that cannot be taken apart into its columns",
    "bad_time": "no time, or one before 1970 or after 9999",
    "bad_utf8": "text that is not UTF-8",
    "bad_version": "a rule with other content than its version had",
    "bad_watermark": "a watermark record whose time cannot be read",
    "bad_zone": "not the IANA name of a time zone",
    "control_type": "a control record from a source, which may not send any",
    "missing_field": "a field that its type must have is not there",
    "never_open": "a calendar without an open minute for ten years",
    "no_customer": "no customer, or an empty one",
    "no_type": "nothing says what the record is",
    "no_value": "a record without a value",
    "not_an_object": "JSON, but not one object",
    "not_redrivable": "a redriven record that ingest never read",
    "too_far_ahead": "an event further ahead of the broker's time than clocks may differ",
    "too_large": "a record over the limit of its topic",
    "unknown_currency": "an amount in a currency that the mapping has no rate for",
    "unknown_schema": "a schema that the registry does not have, or that is of another kind",
    "unknown_source": "a redriven record of a topic that is no source any more",
    "unexpected_type": "a record of another kind than its topic carries",
    "unknown_type": "a type that this release does not know",
}
"""Every code and what it means. They are stable: dead letters, metrics and dashboards name them."""


class ContractError(ValueError):
    """A record or document breaks the contract.

    Args:
        code: stable machine word of `CODES`, e.g. ``bad_json``; it becomes the dead letter's reason and a metric label.
        message: one sentence for people: what is wrong, where, what is allowed.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class UnknownType(ContractError):  # noqa: N818 - a name is a claim, and this one says it
    """The record is well formed, but its `type` is not known to this release."""

    def __init__(self, message: str) -> None:
        super().__init__("unknown_type", message)
