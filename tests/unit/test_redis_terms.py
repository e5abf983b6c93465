"""How Redis is reached: by an address that shows no password, and a password that is named and not written down."""

from pathlib import Path

import pytest

from sinks.redis_client import without_password
from streams.redis_terms import redis_terms
from streams.settings import SettingsError, load_settings

URL = "rediss://redis.example.com:6379/0"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (URL, URL),
        ("redis://ann:hush@host:1/0", "redis://***@host:1/0"),
        ("redis://:hush@host", "redis://***@host"),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock?db=1"),
        ("unix://ann:hush@/run/redis.sock", "unix://***@/run/redis.sock"),
        ("redis://ann:h@sh@host:1/0", "redis://***@host:1/0"),
        ("redis://host/0?username=ann&password=hush", "redis://host/0?username=ann&password=***"),
    ],
)
def test_an_address_is_shown_without_user_and_password(url: str, shown: str) -> None:
    assert without_password(url) == shown
    assert shown in str(redis_terms(load_settings(redis_url=url)))


def test_a_fault_of_the_settings_shows_no_password() -> None:
    with pytest.raises(SettingsError) as told:
        load_settings(redis_url="http://ann:hush@host", schema_registry_url="ftp://ann:hush@host")
    assert "hush" not in str(told.value)
    assert "CHURN_REDIS_URL=http://***@host" in str(told.value)


def test_a_password_itself_in_place_of_where_it_stands_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError, match=r"CHURN_REDIS_PASSWORD: .* env:NAME .* file:PATH") as told:
        redis_terms(load_settings(redis_url=URL, redis_password="hush"))  # noqa: S106 - of nobody
    assert "hush" not in str(told.value)


def test_what_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"CHURN_REDIS_PASSWORD: the file .* cannot be read"):
        redis_terms(load_settings(redis_url=URL, redis_password=f"file:{tmp_path / 'none'}"))
    with pytest.raises(SettingsError, match=r"CHURN_REDIS_CA=.*: there is no such file"):
        redis_terms(load_settings(redis_url=URL, redis_ca=tmp_path / "none.pem"))


def test_the_password_is_not_in_what_the_terms_say_of_themselves(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hush")
    terms = redis_terms(load_settings(redis_url=URL, redis_password=f"file:{tmp_path / 'password'}"))
    assert terms.password is not None
    assert terms.password.reveal() == "hush"
    assert "hush" not in f"{terms} {terms!r}"
