"""What alerts are called: the same alert has the same id, whoever computes it and however often."""

import uuid
from typing import Final

import msgspec

NAMESPACE: Final = uuid.UUID("9d0c3f0a-52a3-5a0e-8b1d-6f2f7c1f4e11")
"""Of all alert ids; changing it would make every open alert a stranger."""


def alert_id(tenant: str, rule_id: str, customer_id: str | None, subject: str | None, episode_start_ms: int) -> str:
    """UUIDv5 (RFC 9562) of what an alert is about: subject is a ticket, a contract, or without a customer a feed."""
    name = msgspec.json.encode([tenant, rule_id, customer_id, subject, episode_start_ms]).decode()
    return str(uuid.uuid5(NAMESPACE, name))


def id_in_slot(tenant: str, customer_id: str, key: str, episode_start_ms: int) -> str:
    """The id of an alert by the slot that it has."""
    rule_id, _, subject = key.partition("/")
    return alert_id(tenant, rule_id, customer_id, subject or None, episode_start_ms)


def slot_key(rule_id: str, subject: str | None) -> str:
    """Where a customer keeps the latest alert of a rule and subject."""
    return rule_id if subject is None else f"{rule_id}/{subject}"
