"""Why no broker can be reached: both clients say only that they could not begin."""

import socket
import ssl
from typing import Final

from streams.kafka_security import aiokafka_options
from streams.settings import Settings, SettingsError, variable

_TIMEOUT_S: Final = 3.0


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
    security = variable("kafka_security")
    try:
        context = aiokafka_options(settings).get("ssl_context")
    except SettingsError as error:
        return f"is not asked: {error}"
    if context is None:
        wants_tls = _speaks_tls(connection)
        return f"wants TLS: set {security}" if wants_tls else _refused(settings)
    try:
        with context.wrap_socket(connection, server_hostname=host):
            return _refused(settings)
    except ssl.SSLCertVerificationError as error:
        return (
            f"has a certificate that is not to be trusted: {error.verify_message}; {variable('kafka_ca')} names the right ones"
        )
    except OSError as error:
        return f"does not speak TLS with us ({error}): see {security} and {variable('kafka_certificate')}"


def _refused(settings: Settings) -> str:
    if settings.kafka_security.startswith("sasl"):
        what = f"{variable('kafka_user')}, {variable('kafka_password')} and {variable('kafka_mechanism')}"
        return f"is there, and does not let us in: check user and password ({what})"
    return f"is there, and does not answer as Kafka does: see {variable('kafka_security')}"


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
