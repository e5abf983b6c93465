"""Notices as mail: text and HTML, one message for each notice, threads by alert."""

import hashlib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Final

import aiosmtplib

from schemas.secret import Secret, hidden
from sinks.base import Delivery, Notice, SinkError
from sinks.http_calls import tls_context
from sinks.media import HTML, PLAIN
from sinks.messages import Messages

USUAL_TIMEOUT_S: Final = 20.0
_AUTHENTICATION_FAILED: Final = 535


@dataclass(frozen=True, slots=True)
class EmailTerms:
    """What a mail server is made of."""

    host: str
    port: int
    sender: str
    """An address, with a name if wanted."""
    implicit_tls: bool = False
    """TLS from the first byte (usually port 465); else STARTTLS."""
    plain_allowed: bool = False
    """Without TLS, if the server offers none: named by an operator, since everybody on the way can read it."""
    user: str = ""
    password: Secret | None = None
    ca: Path | None = None
    timeout_s: float = USUAL_TIMEOUT_S


class EmailSink:
    """Sends notices, one by one, each over a connection of its own.

    A message has an id that is made of the notice, so a mail program that sees it twice shows it once.
    """

    def __init__(self, name: str, terms: EmailTerms, messages: Messages, now_ms: Callable[[], int]) -> None:
        """Raises ValueError for certificates that cannot be read."""
        self.name = name
        self._terms = terms
        self.messages = messages
        self._now_ms = now_ms
        self._tls = tls_context(terms.ca)

    async def deliver(self, records: Sequence[Delivery]) -> None:
        """Send a batch; what is for machines is passed over.

        Raises:
            SinkError: from a record on the batch may be sent again; or some will never be taken, and the others were.
        """
        refused: dict[int, str] = {}
        for index, record in enumerate(records):
            if not isinstance(record, Notice):
                continue
            try:
                await self._send(self.message(record))
            except SinkError as error:
                if error.retryable:
                    raise
                refused[index] = str(error)
        if refused:
            raise SinkError(next(iter(refused.values())), retryable=False, refused=tuple(refused))

    async def close(self) -> None:
        """There is nothing to let go of."""

    def message(self, notice: Notice) -> EmailMessage:
        """The mail of a notice."""
        text, marked_up = self.messages.text(notice, PLAIN), self.messages.text(notice, HTML)
        domain = parseaddr(self._terms.sender)[1].rpartition("@")[2] or "churnwatch"
        made = EmailMessage()
        made["From"], made["To"], made["Subject"] = self._terms.sender, notice.address, text.title
        made["Date"] = format_datetime(datetime.fromtimestamp(self._now_ms() // 1000, UTC))
        made["Message-ID"] = f"<{_name(notice.key)}@{domain}>"
        if notice.kind == "alert":
            thread = f"<{_name(notice.items[0].alert.alert_id)}@{domain}>"
            made["References"] = made["In-Reply-To"] = thread
        made["Auto-Submitted"] = "auto-generated"  # nobody's absence note answers it: RFC 3834
        made["List-Id"] = f"churnwatch <alerts.{domain}>"
        made.set_content(f"{text.title}\n\n{text.body}\n")
        body = marked_up.body.replace("\n", "<br>\n")
        made.add_alternative(f"<p><b>{marked_up.title}</b></p>\n<p>{body}</p>\n", subtype="html")
        return made

    async def _send(self, message: EmailMessage) -> None:
        terms = self._terms
        where = f"{terms.host}:{terms.port}"
        client = aiosmtplib.SMTP(
            hostname=terms.host,
            port=terms.port,
            use_tls=terms.implicit_tls,
            start_tls=False,
            tls_context=self._tls,
            timeout=terms.timeout_s,
        )
        try:
            async with client:
                await self._secure(client)
                if terms.user:
                    await client.login(terms.user, "" if terms.password is None else terms.password.reveal())
                await client.send_message(message)
        except aiosmtplib.SMTPAuthenticationError as error:
            raise SinkError(f"{where} does not take user and password ({error.code}): check them", retryable=True) from None
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise self._refusal(where, error.recipients[0].code, error.recipients[0].message) from None
        except aiosmtplib.SMTPResponseException as error:
            raise self._refusal(where, error.code, error.message) from None
        except ssl.SSLCertVerificationError as error:
            raise SinkError(f"{where}: its certificate is not to be trusted: {error.verify_message}", retryable=True) from None
        except (aiosmtplib.SMTPException, OSError) as error:  # SSLError and TimeoutError are OSErrors
            raise SinkError(f"{where}: {_said(error)}", retryable=True) from None

    def _refusal(self, where: str, code: int, said: str) -> SinkError:
        password = self._terms.password
        said = said if password is None else hidden(said, [password.reveal()])
        text = f"{where} answers {code} ({said[:200]})"
        if code == _AUTHENTICATION_FAILED:
            return SinkError(f"{text}: check user and password", retryable=True)
        return SinkError(text, retryable=True) if 400 <= code < 500 else SinkError(text, retryable=False, refused=(0,))

    async def _secure(self, client: aiosmtplib.SMTP) -> None:
        """TLS before anything is said.

        Raises:
            SinkError: the server offers none, and nobody allowed that.
        """
        if self._terms.implicit_tls:
            return
        await client.ehlo()
        if client.supports_extension("starttls"):
            await client.starttls(tls_context=self._tls)
        elif not self._terms.plain_allowed:
            raise SinkError(
                f"{self._terms.host}:{self._terms.port} offers no TLS: name the host under `allow` if that is meant",
                retryable=True,
            )


def address_fault(text: str) -> str | None:
    """What is wrong with an address of mail; None if it is one."""
    name, address = parseaddr(text)
    user, at, domain = address.rpartition("@")
    try:
        Address(name, user, domain)
    except (ValueError, IndexError):
        return f"{text!r} is no address of mail"
    return None if at and user and "." in domain else f"{text!r} is no address of mail: name@example.com"


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:40]


def _said(error: Exception) -> str:
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {cause.verify_message}"
    return str(error) or type(error).__name__
