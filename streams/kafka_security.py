"""How every client of ours reaches Kafka: TLS, and who it is. One place, for two libraries and Faust."""

import ssl
from functools import cache
from typing import Any, Final

from schemas.secret import Secret
from streams.kafka_tokens import EndpointTokens, FileTokens, ForAiokafka, ForKafkaPython, Tokens
from streams.secret_values import SecretError, read_secret, secret_name
from streams.settings import Settings, SettingsError, variable

OAUTH: Final = "OAUTHBEARER"


def aiokafka_options(settings: Settings) -> dict[str, Any]:
    """Arguments of a consumer or producer of aiokafka.

    Raises:
        SettingsError: a secret or a certificate cannot be read.
    """
    return _options(settings, ForAiokafka)


def kafka_python_options(settings: Settings) -> dict[str, Any]:
    """Arguments of a client of kafka-python.

    Raises:
        SettingsError: a secret or a certificate cannot be read.
    """
    return _options(settings, ForKafkaPython)


def _options(settings: Settings, provider: type[ForAiokafka | ForKafkaPython]) -> dict[str, Any]:
    if settings.kafka_security == "plaintext":
        return {}
    options: dict[str, Any] = {"security_protocol": settings.kafka_security.upper()}
    if settings.kafka_security.endswith("ssl"):
        options["ssl_context"] = _context(settings)
    if not settings.kafka_security.startswith("sasl"):
        return options
    options["sasl_mechanism"] = settings.kafka_mechanism
    if settings.kafka_mechanism == OAUTH:
        return options | {"sasl_oauth_token_provider": provider(tokens(settings))}
    password = _secret(settings, "kafka_password").reveal()
    return options | {"sasl_plain_username": settings.kafka_user, "sasl_plain_password": password}


@cache
def _context(settings: Settings) -> ssl.SSLContext:
    """With the certificates of the settings; the name of the broker is always compared."""
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ca)
    except OSError as error:  # SSLError is one
        raise SettingsError(f"{variable('kafka_ca')}={settings.kafka_ca}: it cannot be read as certificates: {error}") from None
    if settings.kafka_certificate is not None:
        try:
            context.load_cert_chain(settings.kafka_certificate, settings.kafka_key)
        except OSError as error:
            where = (
                f"{variable('kafka_certificate')}={settings.kafka_certificate}, {variable('kafka_key')}={settings.kafka_key}"
            )
            raise SettingsError(f"{where}: they are no certificate with its key: {error}") from None
    return context


@cache
def tokens(settings: Settings) -> Tokens:
    """Of OAUTHBEARER: one for all clients of the process, which share a token.

    Raises:
        SettingsError: the secret of the client cannot be read.
    """
    if settings.kafka_token_file is not None:
        return FileTokens(settings.kafka_token_file)
    secret = _secret(settings, "kafka_password")
    return EndpointTokens(settings.kafka_token_url, settings.kafka_user, secret, settings.kafka_token_scope, settings.kafka_ca)


def _secret(settings: Settings, name: str) -> Secret:
    try:
        return read_secret(secret_name(getattr(settings, name)))
    except SecretError as error:
        raise SettingsError(f"{variable(name)}: {error}") from None
