"""Why no broker can be reached: both clients say only that they could not begin."""

import contextlib
import socket
import ssl
from typing import Final

from streams.kafka_security import OAUTH, aiokafka_options, tokens
from streams.kafka_tokens import TokenError
from streams.settings import Settings, SettingsError, variable

_TIMEOUT_S: Final = 3.0
_ALERT_WITHIN_S: Final = 0.5
# As OpenSSL numbers them (X509_V_ERR_...): a name, an address; not yet valid, expired.
_OF_ANOTHER_HOST: Final = frozenset({62, 64})
_OF_ANOTHER_TIME: Final = frozenset({9, 10})


def trouble(settings: Settings) -> str:
    """What is wrong with the first broker that can be connected to, else with all, as a sentence with what to do."""
    for server in settings.bootstrap.split(","):
        host, _, port = server.rpartition(":")
        try:
            with socket.create_connection((host, int(port)), _TIMEOUT_S) as connection:
                return f"{server} {_of(settings, connection, host)}"
        except OSError:
            continue
    return f"{settings.bootstrap} does not answer: start Kafka, or set {variable('bootstrap')}"


def _of(settings: Settings, connection: socket.socket, host: str) -> str:
    try:
        context = aiokafka_options(settings).get("ssl_context")
    except SettingsError as error:
        return f"is not asked: {error}"
    if context is None:
        wants_tls = _speaks_tls(connection)
        return f"wants TLS: set {variable('kafka_security')}" if wants_tls else _refused(settings)
    try:
        with context.wrap_socket(connection, server_hostname=host) as encrypted:
            _hear(encrypted)
            return _refused(settings)
    except OSError as error:
        return _of_tls(settings, error, host)


def _of_tls(settings: Settings, error: OSError, host: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"has a certificate that is not to be trusted: {_unlike(error, host)}"
    said = getattr(error, "reason", None) or str(error)
    if "ALERT" in said and ("CERTIFICATE" in said or "UNKNOWN_CA" in said):  # what it does not like is ours
        given = "refuses our certificate" if settings.kafka_certificate else "wants a certificate of ours"
        return f"{given} ({said}): see {variable('kafka_certificate')} and {variable('kafka_key')}"
    return f"does not speak TLS with us ({said}): see {variable('kafka_security')}"


def _hear(encrypted: ssl.SSLSocket) -> None:
    """With TLS 1.3 a broker says what it thinks of our certificate only after the handshake."""
    encrypted.settimeout(_ALERT_WITHIN_S)
    with contextlib.suppress(TimeoutError):
        encrypted.recv(1)


def _unlike(error: ssl.SSLCertVerificationError, host: str) -> str:
    """What is wrong with a certificate, and who can do what about it."""
    if error.verify_code in _OF_ANOTHER_HOST:
        must = f"{variable('bootstrap')} must name the broker as its certificate does, not {host}"
        return f"{error.verify_message.rstrip('.')}; {must}"
    if error.verify_code in _OF_ANOTHER_TIME:
        return f"{error.verify_message}; the broker needs a new one, or the clock here is wrong"
    return f"{error.verify_message}; {variable('kafka_ca')} names the right ones"


def _refused(settings: Settings) -> str:
    if settings.kafka_mechanism == OAUTH:
        return f"is there, and does not let us in: {_of_tokens(settings)}"
    if settings.kafka_security.startswith("sasl"):
        what = f"{variable('kafka_user')}, {variable('kafka_password')} and {variable('kafka_mechanism')}"
        return f"is there, and does not let us in: check user and password ({what})"
    return f"is there, and does not answer as Kafka does without a user: see {variable('kafka_security')}"


def _of_tokens(settings: Settings) -> str:
    try:
        tokens(settings).token()
    except TokenError as error:
        return str(error)
    where = "kafka_token_url" if settings.kafka_token_file is None else "kafka_token_file"
    return f"it takes no token of {variable(where)}, or not {variable('kafka_mechanism')}={OAUTH}"


def _speaks_tls(connection: socket.socket) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is said over it: it is only asked which language it speaks
    try:
        with context.wrap_socket(connection):
            return True
    except ssl.SSLError as error:
        return "WRONG_VERSION" not in str(error) and "alert" in str(error).lower()
    except OSError:
        return False
