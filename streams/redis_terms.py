"""How the settings want Redis to be reached."""

from sinks.redis_client import RedisTerms
from streams.secret_values import SecretError, read_secret, secret_name
from streams.settings import Settings, SettingsError, variable


def redis_terms(settings: Settings) -> RedisTerms:
    """Address, user, password and certificates.

    Raises:
        SettingsError: the password cannot be read, or the file of certificates is not there.
    """
    password = None
    if settings.redis_password:
        try:
            password = read_secret(secret_name(settings.redis_password))
        except SecretError as error:
            raise SettingsError(f"{variable('redis_password')}: {error}") from None
    if settings.redis_ca is not None and not settings.redis_ca.is_file():
        raise SettingsError(f"{variable('redis_ca')}={settings.redis_ca}: there is no such file")
    return RedisTerms(settings.redis_url, settings.redis_user, password, settings.redis_ca)
