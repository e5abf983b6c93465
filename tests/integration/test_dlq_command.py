"""Dead letters and back: a mapping that is wrong, the letters, a mend, the redrive, and the alerts that follow."""

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition
from detect_log import new_installation, reading, until

from schemas.codec import decode_decision, encode
from schemas.control import RulesPublished
from schemas.decisions import AlertRecord, DeadLetter
from schemas.instants import DAY_MS, format_instant
from schemas.rules import RuleSet
from streams.cli import main
from streams.dead_letters import MAX_HEADER_BYTES, dead_letter_row
from streams.dlq_redrive import plan, redrive
from streams.dlq_search import Wanted
from streams.ingest import ingest_of
from streams.log_writer import LogWriter
from streams.rules_command import publish
from streams.settings import Settings, Topic, load_settings, variable
from streams.topics import MAX_VALUE_BYTES
from streams.transactions import Place, Row
from streams.worker import running_roles

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]
ROLES: Final = ("ingest", "clock", "detect")
RULES = """\
version: "1"
tenant: shop
rules:
  - {id: silent, kind: absence, of: [order.placed], for: P90D, needs: [orders]}
"""
MAPPING = """\
events:
  - type: order.placed
    id: {position: true}
    order_id: nr
    customer_id: CUSTOMER
    at: {column: day, format: epoch_s}
    amount: nr
"""


class Shop:
    """An installation with a mapping of orders, which is wrong at first for those of a new till."""

    def __init__(self, bootstrap: str, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        made = new_installation(bootstrap, name, partitions=1)
        self.topic, self.folder = f"{name}-orders", folder
        self.customer_is("who")
        (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
        (folder / "sources.yaml").write_text(f"sources: [{{topic: {self.topic}, feed: orders, mapping: orders.yaml}}]")
        fast: dict[str, Any] = {"clock": "event", "heartbeat_ms": 50, "tick_ms": 50, "sources": folder / "sources.yaml"}
        self.settings: Settings = load_settings(**{**made.model_dump(), **fast})
        self._monkeypatch = monkeypatch
        for field, value in self.settings.model_dump(exclude_defaults=True).items():
            monkeypatch.setenv(variable(field), str(value))

    def customer_is(self, column: str) -> None:
        (self.folder / "orders.yaml").write_text(MAPPING.replace("CUSTOMER", column), encoding="utf-8")

    async def send(self, *orders: dict[str, Any] | bytes, headers: Sequence[tuple[str, bytes]] = ()) -> None:
        writer = LogWriter(self.settings)
        values = [order if isinstance(order, bytes) else json.dumps(order).encode() for order in orders]
        await writer.write({Place(self.topic, 0): [Row(None, value, headers) for value in values]})
        await writer.close()

    async def stored(self, topic: Topic) -> list[ConsumerRecord]:
        async with reading(self.settings, TopicPartition(self.settings.topic(topic), 0)) as records:
            return records

    async def count(self, topic: Topic) -> int:
        return len(await self.stored(topic))

    async def told(self) -> list[str]:
        """The alerts about customers."""
        read = [decode_decision(record.value) for record in await self.stored("alerts")]
        return [f"{a.customer_id} {a.state}" for a in read if isinstance(a, AlertRecord) and a.customer_id]

    async def events(self) -> list[dict[str, Any]]:
        return [json.loads(record.value) for record in await self.stored("events") if record.key]

    async def churnwatch(self, *words: str) -> int:
        """The exit status of a command."""
        self._monkeypatch.setattr(sys, "argv", ["churnwatch", *words])
        try:
            return await asyncio.to_thread(main)
        except SystemExit as ended:
            return int(str(ended.code))


def order(day: int, who: str, nr: int, column: str = "who") -> dict[str, Any]:
    return {"nr": nr, column: who, "day": day * DAY_MS // 1000}


async def test_after_a_mend_what_was_refused_comes_in_and_takes_back_what_its_absence_led_to(
    bootstrap: str, unique: Unique, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop(bootstrap, unique("dlq"), tmp_path, monkeypatch)
    await asyncio.to_thread(publish, tmp_path / "rules.yaml", shop.settings, "test")
    async with running_roles(shop.settings, ROLES):
        #  ann  0 ------ 50 refused ------ silent at 90;  bob 5 refused, nobody knows him
        await shop.send(order(0, "ann", 1), order(50, "ann", 2, "buyer"), order(5, "bob", 3, "buyer"), order(100, "eve", 4))
        await until(lambda: is_so(shop.told, ["ann opened"]))
    assert await shop.count("deadletters") == 2
    at = f"{shop.topic}/0/1"

    assert await shop.churnwatch("dlq", "list", "--source", shop.topic, "--json") == 0
    found = last_line(capsys)
    assert [(kind["reason"], kind["letters"], kind["redriven"]) for kind in found["kinds"]] == [("no_customer", 2, 0)]
    assert [letter["position"] for letter in found["newest"]] == [f"{shop.topic}/0/2", at]
    assert await shop.churnwatch("dlq", "show", at) == 0
    shown = capsys.readouterr().out
    assert '  "buyer": "ann",' in shown
    assert "no_customer" in shown

    shop.customer_is("buyer")
    async with running_roles(shop.settings, ROLES):
        assert await shop.churnwatch("dlq", "redrive", "--reason", "no_customer", "--yes") == 0
        await until(lambda: is_so(shop.told, ["ann opened", "ann retracted", "bob opened"]))
        # What is redriven once more, though nothing refused it since, is known by its id.
        assert await shop.churnwatch("dlq", "redrive", "--all", "--yes") == 0
        assert await shop.count("redrive") == 2
        assert await shop.churnwatch("dlq", "redrive", "--all", "--yes", "--again") == 0
        await until(lambda: is_so(lambda: shop.count("redrive"), 4))
        await until(lambda: is_so(lambda: number_of(shop.events), 6))
        await shop.send(order(195, "zoe", 5, "buyer"))
        await until(lambda: is_so(shop.told, ["ann opened", "ann retracted", "bob opened", "ann opened", "eve opened"]))

    redriven = [event for event in await shop.events() if "origin" in event]
    assert [(event["id"], event["origin"][3], event["src"][0]) for event in redriven] == [
        (at, 1, shop.settings.topic("redrive")),
        (f"{shop.topic}/0/2", 2, shop.settings.topic("redrive")),
    ] * 2
    ticks = [json.loads(record.value) for record in await shop.stored("events") if b'"tick"' in record.value]
    assert {feed for tick in ticks for feed in tick["marks_ms"]} == {"orders"}
    assert await shop.count("deadletters") == 2


def last_line(capsys: pytest.CaptureFixture[str]) -> Any:
    """What a command prints for machines, behind what the workers log."""
    return json.loads(capsys.readouterr().out.splitlines()[-1])


async def is_so(of: Callable[[], Any], wanted: Any) -> bool:
    return bool(await of() == wanted)


async def number_of(events: Callable[[], Any]) -> int:
    return len(await events())


async def test_what_fails_again_can_be_redriven_again_and_what_cannot_be_is_named(
    bootstrap: str, unique: Unique, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop(bootstrap, unique("again"), tmp_path, monkeypatch)
    many, kept = [("h", b"x" * MAX_HEADER_BYTES)], [("ce_type", b"order")]
    async with running_roles(shop.settings, ["ingest"]):
        await shop.send(order(1, "ann", 1, "buyer"), headers=kept)
        await shop.send(order(2, "bob", 2, "buyer"), headers=many)
        await shop.send(b'{"nr": "%s"}' % (b"x" * MAX_VALUE_BYTES))
        await until(lambda: is_so(lambda: shop.count("deadletters"), 3))
        # The mapping is as wrong as before: two fail again, and are letters of the same positions again.
        assert await shop.churnwatch("dlq", "redrive", "--all", "--yes") == 1
        printed = capsys.readouterr().out
        await until(lambda: is_so(lambda: shop.count("deadletters"), 5))
    too_long = (
        f"not redriven: {shop.topic}/0/2: it has {MAX_VALUE_BYTES + 10} bytes, and ingest takes at most {MAX_VALUE_BYTES}"
    )
    assert too_long in printed
    assert "2 redriven" in printed

    assert await shop.churnwatch("dlq", "show", f"{shop.topic}/0/0", "--json") == 0
    first, second = last_line(capsys)["letters"]
    assert (first["redriven"], first["came_by"], second["redriven"], second["came_by"]) == (0, None, None, 0)
    assert second["headers"] == first["headers"] == [["ce_type", "order", "text"]]
    assert await shop.churnwatch("dlq", "show", f"{shop.topic}/0/2") == 0
    assert f"cut: the first {MAX_VALUE_BYTES} of {MAX_VALUE_BYTES + 10} bytes, whose sha256 is" in capsys.readouterr().out
    assert await shop.churnwatch("dlq", "show", f"{shop.topic}/0/9") == 1
    assert await shop.churnwatch("dlq", "show", shop.topic) == 2
    assert await shop.churnwatch("dlq", "redrive", "--yes") == 2

    shop.customer_is("buyer")
    planned = await asyncio.to_thread(plan, shop.settings, Wanted(reasons=frozenset({"no_customer"})))
    outcome = await asyncio.to_thread(redrive, shop.settings, planned, lambda *_: None)
    assert (outcome.redriven, outcome.not_whole) == (2, {})
    async with running_roles(shop.settings, ["ingest"]):
        await until(lambda: is_so(lambda: number_of(shop.events), 2))
    assert [dict(record.headers)["source.h"] for record in await shop.stored("redrive") if b"bob" in record.value] == [
        many[0][1]
    ] * 2


async def test_what_is_redriven_too_early_holds_up_nothing_else_and_comes_in_after_the_mend(
    bootstrap: str, unique: Unique, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, count = Shop(bootstrap, unique("early"), tmp_path, monkeypatch), 1_200
    early = [json.dumps(order(1, f"c{number}", number, "buyer")).encode() for number in range(count)]
    await put_letters(shop, [letter(number, topic=shop.topic, value=value) for number, value in enumerate(early)])
    assert await shop.churnwatch("dlq", "redrive", "--all", "--yes") == 0
    async with running_roles(shop.settings, ["ingest"]) as roles:
        await until(lambda: ingest_of(roles.apps["ingest"]).obstacles())
        (obstacle,) = ingest_of(roles.apps["ingest"]).obstacles()
        assert (obstacle.code, shop.settings.topic("redrive") in obstacle.says) == ("source_poison", True)
        await shop.send(order(2, "ann", 1))
        await until(lambda: is_so(lambda: number_of(shop.events), 1))
    refused_again = await shop.count("deadletters") - count
    assert refused_again < 1_000

    shop.customer_is("buyer")
    assert await shop.churnwatch("dlq", "redrive", "--all", "--yes") == 0
    async with running_roles(shop.settings, ["ingest"]):
        await until(lambda: is_so(lambda: number_of(shop.events), 1 + count))


def letter(offset: int, **changes: Any) -> DeadLetter:
    told: dict[str, Any] = {"value": b"{", "reason": "bad_json", "message": "it is cut off", "stage": "ingest"}
    return DeadLetter(**{**told, "topic": "orders", "partition": 0, "offset": offset, **changes})


async def test_a_redrive_that_is_interrupted_is_run_again_and_writes_every_record_once(
    bootstrap: str, unique: Unique, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop(bootstrap, unique("cut"), tmp_path, monkeypatch)
    await put_letters(shop, [letter(number) for number in range(250)])
    written = LogWriter.write

    async def once(self: LogWriter, rows: Any) -> int | None:
        monkeypatch.setattr(LogWriter, "write", fails)
        return await written(self, rows)

    async def fails(_self: LogWriter, _rows: Any) -> int | None:
        raise KafkaError("the broker is gone")

    monkeypatch.setattr(LogWriter, "write", once)
    assert await shop.churnwatch("dlq", "redrive", "--all", "--yes") == 1
    there = await shop.count("redrive")
    assert 0 < there < 250
    monkeypatch.setattr(LogWriter, "write", written)
    assert await shop.churnwatch("dlq", "redrive", "--all", "--yes", "--json") == 0
    assert last_line(capsys) == {
        "redriven": 250 - there,
        "redriven_before": there,
        "not_redrivable": {},
        "not_whole": {},
    }
    assert [record.key for record in await shop.stored("redrive")] == [b"orders/0/%d" % number for number in range(250)]


async def test_letters_are_chosen_by_reason_source_and_time_and_what_no_source_brought_is_left_where_it_is(
    bootstrap: str, unique: Unique, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop(bootstrap, unique("choice"), tmp_path, monkeypatch)
    rules = RulesPublished(at_ms=0, version="1", revision=1, document=RuleSet(version="1", tenant="shop", rules=[]))
    odd = [
        letter(1, stage="import", topic="shop/may.csv"),
        letter(2, stage="deliver", topic="t.alerts"),
        letter(3, stage="detect", topic="t.events", value=encode(rules), reason="bad_rules"),
        letter(4, topic=shop.settings.topic("redrive"), reason="bad_place"),
    ]
    await put_letters(shop, odd)
    await put_letters(shop, [letter(5), letter(6, reason="bad_time"), letter(7, topic="logins")])
    writer = LogWriter(shop.settings)
    await writer.write({Place(shop.settings.topic("deadletters"), 0): [Row(b"?", b"of somebody else")]})
    await writer.close()
    since, until_ = (format_instant(record.timestamp) for record in (await shop.stored("deadletters"))[4:6])

    async def counted(*words: str) -> dict[str, Any]:
        assert await shop.churnwatch("dlq", "list", "--json", *words) == 0
        found: dict[str, Any] = last_line(capsys)
        return found

    assert [(await counted(*words))["letters"] for words in ([], ["--reason", "bad_time"], ["--source", "logins"])] == [7, 1, 1]
    assert (await counted())["unreadable"] == 1
    assert (await counted("--since", since))["letters"] == 3
    assert (await counted("--until", since))["letters"] == 4
    assert (await counted("--since", since, "--until", "9999-01-01T00:00:00Z", "--reason", "bad_json"))["letters"] == 2
    assert (await counted("--since", "2100-01-01T00:00:00Z"))["letters"] == 0
    assert (await counted("--since", "P1D"))["letters"] == 7
    assert await shop.churnwatch("dlq", "list", "--since", until_, "--until", since) == 2
    assert await shop.churnwatch("dlq", "list", "--since", "yesterday") == 2
    assert await shop.churnwatch("dlq", "list", "--reason", "bad_jsn") == 0
    assert (
        "none of the 7 dead letters of that time is meant; there are the reasons bad_json, bad_place" in capsys.readouterr().out
    )
    assert await shop.churnwatch("dlq", "show", "shop/may.csv/0/1") == 0

    assert await shop.churnwatch("dlq", "redrive", "--since", "P1D", "--yes") == 1
    assert [record.key for record in await shop.stored("redrive")] == [b"orders/0/5", b"orders/0/6", b"logins/0/7"]
    printed = capsys.readouterr().err
    assert "1  not: rows of a file: import it again with the mended mapping" in printed
    assert "1  not: records of the clock: publish the document anew" in printed
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    assert await shop.churnwatch("dlq", "redrive", "--source", "orders", "--again") == 1
    assert await shop.count("redrive") == 3

    # Of two whose headers were left out, another record stands in the place of the first, and none in that of the second.
    await shop.send(b"[]")
    await put_letters(shop, [letter(n, topic=shop.topic, headers=(("h", b"x" * MAX_HEADER_BYTES),)) for n in range(2)])
    assert await shop.churnwatch("dlq", "redrive", "--source", shop.topic, "--yes", "--json") == 1
    assert list(last_line(capsys)["not_whole"]) == [f"{shop.topic}/0/0", f"{shop.topic}/0/1"]
    assert await shop.count("redrive") == 3


async def put_letters(shop: Shop, letters: Sequence[DeadLetter]) -> None:
    await asyncio.sleep(0.01)  # the next millisecond
    writer = LogWriter(shop.settings)
    await writer.write({Place(shop.settings.topic("deadletters"), 0): [dead_letter_row(one) for one in letters]})
    await writer.close()
