"""A mail server on loopback, for as long as a test needs it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from kafka_server import free_ports


def _authenticate(_server: Any, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
    is_right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"churn", b"s3cret")
    return AuthResult(success=is_right, handled=False)


@asynccontextmanager
async def mail_server(handler: Any, tls: ssl.SSLContext | None = None, *, auth: bool = False) -> AsyncIterator[int]:
    """The port of a server on loopback; `handler` is that of aiosmtpd."""
    (port,) = free_ports(1)
    options: dict[str, Any] = {"authenticator": _authenticate, "auth_required": True} if auth else {}
    controller = Controller(handler, hostname="127.0.0.1", port=port, tls_context=tls, **options)
    await asyncio.to_thread(controller.start)
    try:
        yield port
    finally:
        await asyncio.to_thread(controller.stop)
