"""Systems in a file of routes: the terms that their keys make, and what is said about each fault."""

import base64
from pathlib import Path

import pytest
from certificates import make_certificate

from schemas.secret import Secret
from sinks.alertmanager import AlertmanagerSink, AlertmanagerTerms
from sinks.http_calls import CallTerms
from sinks.redaction import Redaction
from sinks.routes import Routes
from sinks.webhook import WebhookSink, WebhookTerms
from streams.routes_common import FileAt
from streams.routes_file import RoutesFileError, parse_routes
from streams.routes_kinds import sink_of
from streams.settings import load_settings

KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()
ERP = "kind: webhook, url: 'https://erp.example.com/churn', secret: 'env:ERP_SECRET'"
PAGER = "kind: alertmanager, url: 'http://alertmanager:9093'"


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ERP_SECRET": KEY,
        "SHORT": "whsec_c2hvcnQ=",
        "NO_KEY": "hunter2",
        "TOKEN": "Bearer t0ken",
        "LINES": "Bearer a\x07b",
        "PSEUDONYMS": "0123456789abcdef",
        "ADDRESS": "https://erp.example.org/hunter2",
    }.items():
        monkeypatch.setenv(name, value)


def parsed(keys: str, folder: Path = Path(), *, reads_secrets: bool = True) -> Routes:
    text = f"routes:\n  - to: [system]\ndestinations:\n  system: {{{keys}}}\n"
    return parse_routes(text.encode(), "routes.yaml", FileAt(folder, reads_secrets))


def test_all_keys_of_a_webhook(tmp_path: Path) -> None:
    ca = make_certificate(tmp_path).certificate
    keys = (
        f"{ERP}, allow: [ERP.example.com, 10.0.0.7, 'fd00::7', bücher.example.com], ca: {ca.name}, timeout: PT20S, "
        "authorization: 'env:TOKEN', redact: [note, owner], hash_customers: 'env:PSEUDONYMS'"
    )
    call = CallTerms(
        Secret("https://erp.example.com/churn"),
        ("erp.example.com", "10.0.0.7", "fd00::7", "bücher.example.com"),
        ca,
        20.0,
        Secret("Bearer t0ken", "env:TOKEN"),
    )
    redaction = Redaction(frozenset({"note", "owner"}), Secret("0123456789abcdef", "env:PSEUDONYMS"))
    terms = parsed(keys, tmp_path).destinations["system"].terms
    assert terms == WebhookTerms(call, (Secret(KEY, "env:ERP_SECRET"),), redaction)
    assert not [text for text in (KEY, "t0ken", "0123456789abcdef") if text in repr(terms)]


def test_an_alertmanager_is_a_neighbour_unless_it_is_said_who_may_be_called() -> None:
    terms = parsed(f"{PAGER}, link: 'https://grafana.example.com/?id={{alert_id}}'").destinations["system"].terms
    call = CallTerms(Secret("http://alertmanager:9093"), ("alertmanager",))
    assert terms == AlertmanagerTerms(call, link="https://grafana.example.com/?id={alert_id}")


async def test_sinks_are_made_of_them() -> None:
    for keys, kind in ((ERP, WebhookSink), (PAGER, AlertmanagerSink)):
        routes = parsed(keys)
        sink = sink_of(routes.destinations["system"], routes, load_settings())
        assert isinstance(sink, kind)
        assert sink.name == "system"
        await sink.close()


def test_secrets_that_are_only_named_are_not_looked_at() -> None:
    keys = f"{ERP}, authorization: 'env:NOWHERE', hash_customers: 'env:NOWHERE'"
    assert parsed(keys, reads_secrets=False).destinations["system"].kind == "webhook"
    assert parsed("kind: alertmanager, url: 'env:NOWHERE'", reads_secrets=False).destinations["system"].kind == "alertmanager"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("kind: webhook, url: 'https://erp.example.com/'", "system: `secret` is missing"),
        ("kind: webhook, secret: 'env:ERP_SECRET'", "system: `url` is missing"),
        (f"kind: webhook, url: 'https://erp.example.com/', secret: {KEY}", "secret: a secret does not stand here itself"),
        ("kind: webhook, url: 'https://erp.example.com/', secret: 'env:NOWHERE'", "secret: the variable NOWHERE has no secret"),
        ("kind: webhook, url: 'https://erp.example.com/', secret: 'env:NO_KEY'", "secret: a secret of Standard Webhooks is"),
        ("kind: webhook, url: 'https://erp.example.com/', secret: 'env:SHORT'", "secret: env:SHORT has 5 bytes: at least 16"),
        ("kind: webhook, url: erp.example.com, secret: 'env:ERP_SECRET'", "url: it is no address: https://host/path"),
        ("kind: webhook, url: 'http://erp.example.com', secret: 'env:ERP_SECRET'", "url: http:// is open to everybody on the"),
        (
            "kind: webhook, url: 'https://a:hunter2@erp.example.com', secret: 'env:ERP_SECRET'",
            "url: user and password do not belong in an address: `authorization` has them",
        ),
        (
            "kind: webhook, url: 'env:ADDRESS', secret: 'env:ERP_SECRET', allow: [erp.example.com]",
            "url: the host erp.example.org is not under `allow`: erp.example.com",
        ),
        (f"{PAGER}, allow: [10.0.0.7]", "url: the host alertmanager is not under `allow`: 10.0.0.7"),
        (f"{ERP}, allow: erp.example.com", "allow: 'erp.example.com' stands here; a list is wanted"),
        (f"{ERP}, allow: []", "allow: the list has 0 entries; at least 1 is wanted"),
        (f"{ERP}, allow: ['https://erp.example.com']", "allow[0]: 'https://erp.example.com' is not a host; write"),
        (f"{ERP}, allow: ['erp.example.com:443']", "allow[0]: 'erp.example.com:443' is not a host"),
        (f"{ERP}, allow: ['*.example.com']", "allow[0]: '*.example.com' is not a host"),
        (f"{ERP}, ca: nowhere.pem", "ca: there is no "),
        (f"{ERP}, ca: {Path(__file__).name}", "it holds no certificate in PEM"),
        (f"{ERP}, timeout: 20", "timeout: '20' is not a duration"),
        (f"{ERP}, timeout: PT31S", "timeout: 31 s is out of range; PT1S to PT30S are allowed"),
        (f"{ERP}, authorization: 'Bearer hunter2'", "authorization: a secret does not stand here itself"),
        (f"{ERP}, authorization: 'env:LINES'", "authorization: env:LINES is not the value of a header"),
        (
            f"{ERP}, redact: [notes_of, note]",
            "redact[0]: 'notes_of' is not a field that can be left out; did you mean `notes`?",
        ),
        (f"{ERP}, redact: [customer_id]", "redact[0]: 'customer_id' is not a field that can be left out"),
        (f"{ERP}, redact: note", "redact: 'note' stands here; a list is wanted"),
        (f"{ERP}, hash_customers: 'env:NO_KEY'", "hash_customers: env:NO_KEY is short enough to be guessed: 16 characters"),
        (f"{ERP}, link: 'https://a'", "system: `link` is not known here; allowed are"),
        (f"{PAGER}, secret: 'env:ERP_SECRET'", "system: `secret` is not known here; allowed are"),
        (f"{PAGER}, link: grafana", "link: 'grafana' is no address; write it like https://grafana.example.com"),
        (f"{PAGER}, link: 'https://a/?id={{id}}'", "link: {id} is not filled in; {alert_id} and {customer_id} are"),
    ],
)
def test_each_fault_is_told_with_its_line_and_shows_no_secret(keys: str, message: str) -> None:
    with pytest.raises(RoutesFileError) as refused:
        parsed(keys, Path(__file__).parent)
    (fault,) = refused.value.faults
    assert fault.line == 4
    assert message in str(fault)
    assert "hunter2" not in str(refused.value)
    assert KEY not in str(refused.value)
