"""Records to a system of any kind: one signed POST for each, a CloudEvent in the binary mode of HTTP."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from schemas import standard_webhooks
from schemas.cloud_events import CONTENT_TYPE, attributes_of
from schemas.codec import encode
from schemas.decisions import AlertRecord, LifecycleRecord, RiskRecord
from schemas.secret import Secret
from sinks.base import TRACEPARENT, Delivery, SinkError
from sinks.http_calls import CallTerms, HttpCaller
from sinks.redaction import ALL_OF_IT, Redaction, redacted

_LEAST_KEY_BYTES: Final = 16
# CloudEvents, HTTP binding 3.1.3.2: of printable ASCII these three are written with `%`, and all that is not ASCII.
_AS_IT_IS: Final = "".join(letter for letter in map(chr, range(0x21, 0x7F)) if letter not in {'"', "%"})


@dataclass(frozen=True, slots=True)
class WebhookTerms:
    """What a webhook is made of."""

    call: CallTerms
    secrets: tuple[Secret, ...]
    """Each signs, so that a receiver may change from one to the next."""
    redaction: Redaction = ALL_OF_IT


class WebhookSink:
    """Posts alerts, risks and stages one by one, in their order.

    The receiver is idempotent by `webhook-id`: of an alert `<alert_id>/<sequence>`. The same record has the same id and
    body whenever it is sent; only the time that is signed is another.
    """

    def __init__(self, name: str, terms: WebhookTerms, source: str, now_ms: Callable[[], int]) -> None:
        """Raises ValueError for terms that cannot be used: an address that may not be called, a secret that is none.

        `source` is that of the events, and names the installation.
        """
        self.name = name
        self._caller = HttpCaller(terms.call)
        self._keys = [key_of(secret) for secret in terms.secrets]
        self._redaction = terms.redaction
        self._source = source
        self._now_ms = now_ms

    async def deliver(self, records: Sequence[Delivery]) -> None:
        """Post a batch; what is no record for machines is passed over.

        Raises:
            SinkError: the receiver is not there, or an operator has something to mend: from that record on the batch may
                be sent again. Or it will never take some of the records, and has all others.
        """
        refused: dict[int, str] = {}
        for index, record in enumerate(records):
            if not isinstance(record, AlertRecord | RiskRecord | LifecycleRecord):
                continue
            try:
                await self._post(redacted(record, self._redaction))
            except SinkError as error:
                if error.retryable:
                    raise
                refused[index] = str(error)
        if refused:
            raise SinkError(next(iter(refused.values())), retryable=False, refused=tuple(refused))

    async def close(self) -> None:
        """Close the connections."""
        await self._caller.close()

    async def _post(self, record: AlertRecord | RiskRecord | LifecycleRecord) -> None:
        body = encode(record)
        event = {name: quote(text, safe=_AS_IT_IS) for name, text in attributes_of(record, self._source).items()}
        trace = {"traceparent": TRACEPARENT.get()} if TRACEPARENT.get() else {}
        timestamp = str(self._now_ms() // 1000)
        signatures = [standard_webhooks.signature(key, event["id"], timestamp, body) for key in self._keys]
        headers = {
            "Content-Type": CONTENT_TYPE,
            standard_webhooks.ID_HEADER: event["id"],
            standard_webhooks.TIMESTAMP_HEADER: timestamp,
            standard_webhooks.SIGNATURE_HEADER: " ".join(signatures),
            **{f"ce-{name}": text for name, text in (event | trace).items()},
            **trace,
        }
        await self._caller.post(body, headers)


def key_of(secret: Secret) -> bytes:
    """The bytes that sign.

    Raises:
        ValueError: the secret is not as Standard Webhooks has them, or too short to be one; the message does not show it.
    """
    key = standard_webhooks.key_of(secret.reveal())
    if len(key) < _LEAST_KEY_BYTES:
        raise ValueError(f"{secret} has {len(key)} bytes: at least {_LEAST_KEY_BYTES} are wanted, better 32")
    return key
