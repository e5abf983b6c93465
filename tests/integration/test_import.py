"""Files into a source topic on a broker: order, keys, watermarks, dead letters, interruptions; and the log out again."""

import asyncio
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from aiokafka.structs import ConsumerRecord, TopicPartition
from detect_log import Log, new_installation
from engine_run import order, tick

from schemas.codec import Record, decode_line, encode
from streams import import_topic
from streams.export import ExportRefused, export_log
from streams.import_file import ImportSummary, import_file
from streams.import_topic import IMPORT_HEADER, ImportRefused, NamedImport, send_events
from streams.log_writer import LogWriter
from streams.routing import WATERMARK_HEADER, log_partition
from streams.settings import Settings, load_settings
from streams.topic_tail import read_to_end, reader
from streams.transactions import Place, Row

pytestmark = pytest.mark.kafka

Unique = Callable[[str], str]
MAPPING = """\
events:
  - type: order.placed
    id: {position: true}
    order_id: nr
    customer_id: who
    at: {column: t, format: epoch_s}
    amount: amount
"""
COUNT = 400


class Shop:
    """An installation, and a file whose rows are in no order; each eleventh has no customer."""

    def __init__(self, bootstrap: str, name: str, folder: Path) -> None:
        self.settings = new_installation(bootstrap, name)
        self.topic = f"{self.settings.source_prefix}orders"
        self.mapping, self.file = folder / "shop.yaml", folder / "shop.csv"
        self.mapping.write_text(MAPPING, encoding="utf-8")
        self.rows = [f"{n},{f'c{n % 17}' if n % 11 else ''},{n * 7919 % 1000},1.5" for n in range(1, COUNT + 1)]
        self.file.write_text("\n".join(["nr,who,t,amount", *self.rows]), encoding="utf-8")

    def run(self) -> ImportSummary:
        return import_file(self.file, self.mapping, settings=self.settings, topic=self.topic)

    async def stored(self, topic: str, partition: int) -> list[ConsumerRecord]:
        async with reader(self.settings) as consumer:
            return await read_to_end(consumer, TopicPartition(topic, partition))

    def expected(self, partition: int) -> list[tuple[bytes, str, int]]:
        """Key, id and time of the orders of a partition: by time, and of the same time as in the file."""
        cells = [(number, row.split(",")) for number, row in enumerate(self.rows, 1)]
        found = [(int(t), number, who.encode()) for number, (_, who, t, _) in cells if who]
        return [(who, f"shop.csv:{n}", t * 1000) for t, n, who in sorted(found) if log_partition(who, 2) == partition]

    async def assert_all_is_there_once(self) -> None:
        last_ms = max(at_ms for partition in range(2) for _, _, at_ms in self.expected(partition))
        for partition in range(2):
            *orders, watermark = await self.stored(self.topic, partition)
            events = [json.loads(record.value) for record in orders]
            assert [(r.key, e["id"], e["at_ms"]) for r, e in zip(orders, events, strict=True)] == self.expected(partition)
            assert (watermark.key, watermark.value) == (None, None)
            assert dict(watermark.headers)[WATERMARK_HEADER] == str(last_ms).encode()
        letters = await self.stored(self.settings.topic("deadletters"), 0)
        bad = [(n, row) for n, row in enumerate(self.rows, 1) if n % 11 == 0]
        assert [(r.value, dict(r.headers)["offset"]) for r in letters] == [(row.encode(), str(n).encode()) for n, row in bad]
        headers = dict(letters[0].headers)
        assert {name: headers[name] for name in ("reason", "stage", "topic", "partition")} == {
            "reason": b"no_customer",
            "stage": b"import",
            "topic": b"shop.csv",
            "partition": b"0",
        }


@pytest.fixture
def shop(bootstrap: str, unique: Unique, tmp_path: Path) -> Shop:
    return Shop(bootstrap, unique("import"), tmp_path)


async def in_thread(shop: Shop) -> ImportSummary:
    return await asyncio.to_thread(shop.run)


async def test_a_file_is_in_the_topic_sorted_keyed_and_ended_by_watermarks_and_bad_rows_are_dead_letters(shop: Shop) -> None:
    summary = await in_thread(shop)
    assert (summary.rows, summary.events.total(), summary.already_there) == (COUNT, COUNT - COUNT // 11, 0)
    assert summary.dead_letters == {"no_customer": COUNT // 11}
    await shop.assert_all_is_there_once()


async def test_an_import_that_is_run_again_writes_nothing_twice(shop: Shop) -> None:
    first = await in_thread(shop)
    again = await in_thread(shop)
    assert again.already_there == first.events.total()
    await shop.assert_all_is_there_once()


@pytest.mark.parametrize("writes", range(1, 8))
async def test_an_interrupted_import_goes_on_where_it_stopped(shop: Shop, monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    """The write with this number reaches one partition of two, and then the process ends."""
    whole, done = LogWriter.write, 0

    async def cut(writer: LogWriter, rows: dict[Place, Sequence[Row]]) -> int | None:
        nonlocal done
        done += 1
        if done < writes:
            return await whole(writer, rows)
        place = min(rows)
        await whole(writer, {place: rows[place][: len(rows[place]) // 2 + 1]})
        raise ConnectionResetError

    monkeypatch.setattr(import_topic, "_EVENTS_AT_ONCE", 90)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(LogWriter, "write", cut)
        with pytest.raises(ConnectionResetError):
            await in_thread(shop)
    await in_thread(shop)
    await shop.assert_all_is_there_once()


async def test_records_of_others_between_those_of_an_import_do_not_matter(shop: Shop) -> None:
    records = [(b"c1", b"{}")] * 10
    named, other = NamedImport("a" * 32), NamedImport("b" * 32)
    quiet: Callable[[str, int, int | None], None] = lambda *_: None  # noqa: E731
    await send_events(shop.settings, shop.topic, records[:4], None, named, quiet)
    await send_events(shop.settings, shop.topic, records, 7, other, quiet)
    assert await send_events(shop.settings, shop.topic, records, 9, named, quiet) == 4
    stored = await shop.stored(shop.topic, log_partition(b"c1", 2))
    assert [dict(r.headers)[IMPORT_HEADER] for r in stored] == [
        *(named.header(n)[1] for n in range(4)),
        *(other.header(n)[1] for n in range(11)),
        *(named.header(n)[1] for n in range(4, 11)),
    ]


async def test_a_topic_that_does_not_exist_is_refused_by_name_and_not_made(shop: Shop) -> None:
    shop.topic = "nowhere"
    with pytest.raises(ImportRefused, match="nowhere does not exist: `churnwatch topics` creates it"):
        await in_thread(shop)


async def test_canonical_lines_need_no_mapping_and_come_out_as_they_went_in(tmp_path: Path) -> None:
    lines = [
        b'{"type":"login.succeeded","id":"2","customer_id":"ann","at":"1970-01-01T00:00:02Z"}',
        b'{"type":"tick","at_ms":1}',
        b'{"type":"login.succeeded","id":"1","customer_id":"ann","at_ms":1000}',
    ]
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines))
    summary = import_file(tmp_path / "in.jsonl", out=tmp_path / "out.jsonl")
    assert summary.dead_letters == {"control_type": 1}
    assert (tmp_path / "out.jsonl").read_bytes().splitlines() == [
        lines[2],
        lines[0].replace(b'"at":"1970-01-01T00:00:02Z"', b'"at_ms":2000'),
    ]


async def test_an_exported_log_has_every_readable_record_with_its_place(bootstrap: str, unique: Unique) -> None:
    log = Log(new_installation(bootstrap, unique("export")))
    records: dict[int, list[Record | bytes]] = {0: [order(1), tick(2), b"{", order(3)], 1: [order(4, "bob")]}
    for partition, some in records.items():
        await log.append(partition, some)
    out = io.BytesIO()
    assert await asyncio.to_thread(export_log, log.settings, out) == 4
    lines = out.getvalue().splitlines()
    places = [(json.loads(line)["partition"], json.loads(line)["offset"]) for line in lines]
    assert places == [(0, 0), (0, 1), (0, 3), (1, 0)]
    for line, (partition, offset) in zip(lines, places, strict=True):
        assert encode(decode_line(line)) == log.written[partition][offset]
    nowhere: Settings = load_settings(bootstrap=bootstrap, prefix="nowhere.")
    with pytest.raises(ExportRefused, match=r"nowhere\.events does not exist"):
        await asyncio.to_thread(export_log, nowhere, out)
