"""What stands in the topic of deliveries: of each key the last record, and nothing of what was taken back."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

from dispatch_run import transition
from structlog.testing import capture_logs

from schemas.codec import decode_decision, encode
from schemas.deliveries import AnyLedger, PositionRecord, StormOrder, ToldRecord
from schemas.errors import ContractError
from streams.dispatch_letters import AlertsAt, letters_of, unreadable
from streams.ledger import Ledger
from streams.settings import load_settings
from streams.transactions import Row


def record(key: bytes | None, value: bytes | None, offset: int = 0) -> Any:
    return SimpleNamespace(key=key, value=value, topic="churn.alerts", partition=1, offset=offset)


def row(recipient: str, name: str, sequence: int = 1) -> ToldRecord:
    return ToldRecord(recipient=recipient, alert_id=name, sequence=sequence, told="sent", at_ms=0)


def taken(*rows: AnyLedger) -> Ledger:
    ledger = Ledger()
    for one in rows:
        assert ledger.take(record(one.key(), encode(one))) == one
    return ledger


def test_the_last_of_each_key_holds_until_it_is_taken_back() -> None:
    ledger = taken(row("erp", "a", 1), row("erp", "b", 1), row("erp", "a", 2), row("room", "a", 7))
    assert ledger.of("erp") == [row("erp", "a", 2), row("erp", "b", 1)]
    assert ledger.take(record(row("erp", "a").key(), None)) is None
    assert ledger.of("erp") == [row("erp", "b", 1)]


def test_an_order_is_for_everybody_and_nobody_is_called_everybody() -> None:
    order = StormOrder(recipient="*", rule="silent", order="drop", at_ms=5, by="lena")
    ledger = taken(order, PositionRecord(recipient="erp", offsets=[3, 4]))
    assert ledger.of("room") == ledger.orders() == [order]
    assert ledger.recipients() == {"erp"}


def test_what_cannot_be_read_is_in_the_log_and_changes_nothing() -> None:
    ledger = taken(row("erp", "a"))
    with capture_logs() as logs:
        assert ledger.take(record(row("erp", "a").key(), b'{"type":"of tomorrow"}', offset=41)) is None
        assert ledger.take(record(None, b"x")) is None
    assert [(line["event"], line["offset"]) for line in logs] == [("deliveries.unreadable", 41)]
    assert ledger.of("erp") == [row("erp", "a")]


def headers(letter: Row) -> Counter[tuple[str, str]]:
    return Counter((name, value.decode()) for name, value in letter.headers)


def test_a_letter_names_the_record_of_the_batch_and_what_waited_is_its_own_letter() -> None:
    settings, places = load_settings(), AlertsAt()
    here, waited = transition("a", 1, "opened"), transition("b", 3, "opened")
    places.put(here, record(b"a", encode(here), offset=17))

    (letter,) = letters_of([here], settings, places, "erp", "400")
    assert (letter.key, letter.value) == (b"churn.alerts/1/17", encode(here))
    assert headers(letter)["message", "erp refuses it: 400"] == 1

    (letter,) = letters_of([waited], settings, places, "erp", "400")
    assert letter.key == b"churn.deliveries/0/0"
    assert letter.value is not None
    assert decode_decision(letter.value[1:-1]) == waited


def test_a_letter_of_what_is_no_alert_has_its_bytes() -> None:
    letter = unreadable(record(b"a", b"{", offset=5), ContractError("bad_json", "it ends too early"))
    assert (letter.key, letter.value) == (b"churn.alerts/1/5", b"{")
    assert headers(letter)["reason", "bad_json"] == 1
