"""How webhooks are signed that keep to Standard Webhooks 1.0: those that come in, and those that go out."""

import base64
import binascii
import hmac
from typing import Final

ID_HEADER: Final = "webhook-id"
TIMESTAMP_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"
SHARED_SECRET: Final = "v1"  # noqa: S105 - the version of a signature
"""Before a signature, with a comma between: it was made with a secret that both sides have."""
_KEY_PREFIX: Final = "whsec_"


def key_of(secret: str) -> bytes:
    """The bytes of a secret as it is written: base64 behind a prefix, which may be missing.

    Raises:
        ValueError: it is something else; the message does not show it.
    """
    try:
        return base64.b64decode(secret.removeprefix(_KEY_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"a secret of Standard Webhooks is base64, with {_KEY_PREFIX} before it") from None


def digest(key: bytes, webhook_id: bytes, timestamp: bytes, body: bytes) -> bytes:
    """What a key makes of a webhook; the timestamp is in seconds, as its header has it."""
    return hmac.digest(key, b"%b.%b.%b" % (webhook_id, timestamp, body), "sha256")


def signature(key: bytes, webhook_id: str, timestamp: str, body: bytes) -> str:
    """The same as the header has it."""
    made = digest(key, webhook_id.encode(), timestamp.encode(), body)
    return f"{SHARED_SECRET},{base64.b64encode(made).decode()}"
