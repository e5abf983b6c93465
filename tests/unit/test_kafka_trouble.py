"""Why a broker does not let us in, as a sentence: asked of real servers with TLS, that speak no Kafka."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from certificates import Certificate, make_certificate

from streams.kafka_trouble import trouble
from streams.settings import load_settings


@contextmanager
def listening(context: ssl.SSLContext | None) -> Iterator[int]:
    """A port that takes connections, by TLS if there is a context, reads once, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                try:
                    with connection if context is None else context.wrap_socket(connection, server_side=True) as one:
                        one.settimeout(5)
                        one.recv(1)
                except OSError:
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def told(context: ssl.SSLContext | None, host: str = "127.0.0.1", **fields: Any) -> str:
    with listening(context) as port:
        said = trouble(load_settings(bootstrap=f"{host}:{port}", **fields))
        return said.removeprefix(f"{host}:{port} ")


def encrypted(made: Certificate, host: str = "127.0.0.1", context: ssl.SSLContext | None = None, **fields: Any) -> str:
    return told(context or made.for_server(), host, **{"kafka_security": "ssl", "kafka_ca": made.certificate, **fields})


@pytest.fixture
def made(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


def test_a_certificate_that_has_expired_is_told_as_that(tmp_path: Path) -> None:
    said = encrypted(make_certificate(tmp_path, days=-1))
    assert said == (
        "has a certificate that is not to be trusted: certificate has expired; "
        "the broker needs a new one, or the clock here is wrong"
    )


def test_a_certificate_of_another_name_is_told_with_both(tmp_path: Path) -> None:
    said = encrypted(make_certificate(tmp_path, names="DNS:kafka.example"), "localhost")
    assert "Hostname mismatch" in said
    assert said.endswith("CHURN_BOOTSTRAP must name the broker as its certificate does, not localhost")
    assert "CHURN_BOOTSTRAP must name" in encrypted(make_certificate(tmp_path, names="DNS:kafka.example"))


def test_a_certificate_of_nobody_we_know_is_told_with_the_setting(made: Certificate) -> None:
    assert encrypted(made, kafka_ca=None).endswith("CHURN_KAFKA_CA names the right ones")


def test_a_broker_that_wants_a_certificate_of_ours_says_so_after_the_handshake(made: Certificate, tmp_path: Path) -> None:
    mutual = made.for_server()
    mutual.verify_mode = ssl.CERT_REQUIRED
    mutual.load_verify_locations(made.certificate)
    assert encrypted(made, context=mutual) == (
        "wants a certificate of ours (TLSV13_ALERT_CERTIFICATE_REQUIRED): see CHURN_KAFKA_CERTIFICATE and CHURN_KAFKA_KEY"
    )
    (tmp_path / "strange").mkdir()
    strange = make_certificate(tmp_path / "strange")
    said = encrypted(made, context=mutual, kafka_certificate=strange.certificate, kafka_key=strange.key)
    assert said.startswith("refuses our certificate (")


def test_a_plain_client_at_a_port_with_tls_is_told_to_use_it(made: Certificate) -> None:
    assert told(made.for_server()) == "wants TLS: set CHURN_KAFKA_SECURITY"


def test_tls_at_a_plain_port_is_told_as_that() -> None:
    assert told(None, kafka_security="ssl").startswith("does not speak TLS with us")


def test_a_user_who_is_not_let_in_is_told_what_to_look_at(made: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "pass-phrase")
    sasl: dict[str, Any] = {"kafka_security": "sasl_ssl", "kafka_user": "churn", "kafka_password": "env:PASSWORD"}
    said = encrypted(made, kafka_mechanism="PLAIN", **sasl)
    assert said == (
        "is there, and does not let us in: check user and password "
        "(CHURN_KAFKA_USER, CHURN_KAFKA_PASSWORD and CHURN_KAFKA_MECHANISM)"
    )


def test_a_token_that_is_not_to_be_had_is_the_reason(made: Certificate, tmp_path: Path) -> None:
    by_token: dict[str, Any] = {
        "kafka_security": "sasl_ssl",
        "kafka_mechanism": "OAUTHBEARER",
        "kafka_token_file": tmp_path / "token",
    }
    assert "let us in: the token in " in encrypted(made, **by_token)
    (tmp_path / "token").write_text("t")
    assert encrypted(made, **by_token).endswith(
        "it takes no token of CHURN_KAFKA_TOKEN_FILE, or not CHURN_KAFKA_MECHANISM=OAUTHBEARER"
    )


def test_nobody_there_is_told_as_that() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert trouble(load_settings(bootstrap=f"127.0.0.1:{port}")) == (
        f"127.0.0.1:{port} does not answer: start Kafka, or set CHURN_BOOTSTRAP"
    )
