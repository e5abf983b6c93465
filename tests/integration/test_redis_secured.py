"""Redis behind TLS and passwords: as the user that the README makes, and clear words where a door stays shut."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alert_records import alert
from certificates import Certificate, make_certificate
from redis import Redis
from redis_server import running_redis_with_tls
from valkey_server import running_valkey

from schemas.decisions import RiskRecord
from schemas.secret import Secret
from sinks.base import Forgotten, SinkError
from sinks.redis_client import RedisTerms
from sinks.redis_store import RedisStore
from streams.doctor_redis import redis_findings
from streams.settings import load_settings

README = (Path(__file__).parents[2] / "README.md").read_text()
PASSWORD = "correct-horse-battery-staple"  # noqa: S105 - of a server of this test
(RULES,) = re.findall(r"^ACL SETUSER churn (.*)$", README, re.MULTILINE)
USER = f"user churn {RULES.replace('PASSWORD', PASSWORD)}"
RISK = RiskRecord(customer_id="c", sequence=1, at_ms=1, probability=0.5, band="high", basis="model", owner="kim")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate) -> Iterator[str]:
    with running_redis_with_tls(tmp_path_factory.mktemp("redis"), certificate, [USER]) as url:
        yield url


async def use(terms: RedisTerms) -> None:
    """Everything that a store does."""
    store = RedisStore(terms)
    try:
        await store.positions(["alerts/0"])
        await store.deliver([RISK, alert(), Forgotten("c", "alert", "a"), Forgotten("c", "risk")])
        await store.advance({"alerts/0": 4})
        await store.tend()
    finally:
        await store.close()


async def refusal(terms: RedisTerms) -> SinkError:
    with pytest.raises(SinkError) as caught:
        await use(terms)
    assert caught.value.retryable
    assert PASSWORD not in str(caught.value)
    return caught.value


async def test_the_user_of_the_readme_may_do_what_is_needed_behind_tls(url: str, certificate: Certificate) -> None:
    await use(RedisTerms(url, "churn", Secret(PASSWORD), certificate.certificate))
    await use(RedisTerms(url.replace("//", f"//churn:{PASSWORD}@"), ca=certificate.certificate))


async def test_the_same_user_on_valkey_may_do_what_is_needed_and_nothing_outside_of_its_keys() -> None:
    with running_valkey() as url:
        admin: Any = Redis.from_url(url)
        admin.execute_command("ACL", "SETUSER", *USER.removeprefix("user ").split())
        await use(RedisTerms(url, "churn", Secret(PASSWORD)))
        admin.execute_command("ACL", "SETUSER", "churn", "resetkeys", "~else:*")
        assert "refuses: " in str(await refusal(RedisTerms(url, "churn", Secret(PASSWORD))))
        admin.close()


async def test_a_wrong_password_is_said_and_not_shown(url: str, certificate: Certificate) -> None:
    told = str(await refusal(RedisTerms(url.replace("//", "//churn:wrong-one@"), ca=certificate.certificate)))
    assert "does not answer" in told
    assert "invalid username-password pair" in told
    assert "wrong-one" not in told
    assert "rediss://***@localhost" in told


async def test_a_certificate_that_nobody_vouches_for_is_not_believed(url: str) -> None:
    assert "CERTIFICATE_VERIFY_FAILED" in str(await refusal(RedisTerms(url, "churn", Secret(PASSWORD))))


async def test_a_certificate_of_another_host_or_of_the_past_is_not_believed(tmp_path: Path) -> None:
    for names, days, why in (("DNS:elsewhere.example", 2, "Hostname mismatch"), ("DNS:localhost", -1, "expired")):
        folder = tmp_path / str(days)
        folder.mkdir()
        shown = make_certificate(folder, names=names, days=days)
        with running_redis_with_tls(folder, shown, [USER]) as url:
            assert why in str(await refusal(RedisTerms(url, "churn", Secret(PASSWORD), shown.certificate)))


def test_doctor_looks_as_the_same_user(
    url: str, certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_SECRET", PASSWORD)
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    for stands_in in ("env:REDIS_SECRET", f"file:{tmp_path / 'password'}"):
        settings = load_settings(redis_url=url, redis_user="churn", redis_password=stands_in, redis_ca=certificate.certificate)
        (finding,) = redis_findings(settings)
        assert finding.good, finding
        assert "answers, version" in finding.says


def test_doctor_says_what_is_wrong_and_shows_no_password(url: str, certificate: Certificate) -> None:
    with_password = url.replace("//", f"//churn:{PASSWORD}x@")
    (finding,) = redis_findings(load_settings(redis_url=with_password, redis_ca=certificate.certificate))
    assert not finding.good
    assert "invalid username-password pair" in finding.says
    assert PASSWORD not in finding.says


def test_doctor_warns_of_a_redis_that_throws_keys_away_and_of_another_layout() -> None:
    with running_valkey() as url:
        client: Any = Redis.from_url(url)
        client.config_set("maxmemory", 100 << 20)
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.hset("churn:layout", "version", "7")
        _, thrown, layout = redis_findings(load_settings(redis_url=url))
        client.close()
    assert not thrown.good
    assert "noeviction" in thrown.says
    assert not layout.good
    assert "layout 7" in layout.says
