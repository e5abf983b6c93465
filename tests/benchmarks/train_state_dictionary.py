"""Trains the dictionary that customers are compressed with, and prints `detectors/state_dictionary.py`.

`PYTHONPATH=tests python -m benchmarks.train_state_dictionary`. It learns from the customers of the golden stories, and
from those of a month under each file of `deploy/rules`. The dictionary is part of the format of the state: with another
one nothing that was written before can be read, so it changes only together with `state_frame.FORMAT`.
"""

from base64 import b85encode
from collections.abc import Iterator
from itertools import count
from textwrap import wrap

import msgspec
import zstandard
from benchmarks.machine import ROOT
from benchmarks.mix import BEGINS_MS, history, model

from detectors.engine import PartitionEngine
from schemas.codec import Record, decode_line
from schemas.control import RulesPublished, Tick
from schemas.events import Event, SourcePosition
from schemas.instants import DAY_MS
from schemas.rules import RuleSet
from streams.rules_file import load_rules

SIZE = 4096
CUSTOMERS = 300
EVENTS_OF_EACH = 8

HEADER = '''"""The dictionary of `customer_record`; `tests/benchmarks/train_state_dictionary.py` says how it is made."""

from typing import Final

DICTIONARY: Final = (
'''


def of_stories() -> Iterator[bytes]:
    """The customers of the golden stories, as they are in the end."""
    for path in sorted(ROOT.glob("tests/golden/stories/*/events.jsonl")):
        rules = path.parent / "rules.yaml"
        records = [decode_line(line) for line in path.read_bytes().splitlines() if line.strip()]
        yield from of_records(load_rules(rules) if rules.exists() else None, records)


def of_packs() -> Iterator[bytes]:
    """The customers of a month under each of the rules files that come along."""
    for path in sorted(ROOT.glob("deploy/rules/*.yaml")):
        records: list[Record] = [model()]
        tick_ms = BEGINS_MS
        for event in history(CUSTOMERS * EVENTS_OF_EACH, CUSTOMERS):
            while event.at_ms >= tick_ms:
                records.append(Tick(at_ms=tick_ms))
                tick_ms += DAY_MS
            records.append(event)
        yield from of_records(load_rules(path), [*records, Tick(at_ms=tick_ms + DAY_MS)])


def of_records(rules: RuleSet | None, records: list[Record]) -> Iterator[bytes]:
    """The customers that records lead to, without what their own records do not compress."""
    engine, offsets = PartitionEngine(0), count()
    if rules is not None:
        engine.apply(next(offsets), RulesPublished(at_ms=0, version=rules.version, revision=1, document=rules))
    for number, record in enumerate(records):
        known = record
        if isinstance(known, Event):
            topic = known.type.partition(".")[0] + "s"
            known = msgspec.structs.replace(known, src=SourcePosition(topic, 0, number % 4, number, 0))
        engine.apply(next(offsets), known)
    customers = engine._state.customers
    for customer_id in customers.ids():
        customer = customers.find(customer_id)
        assert customer is not None
        yield msgspec.msgpack.encode(msgspec.structs.replace(customer, wakes={}, look_ms=None, id=""))


def module(dictionary: bytes) -> str:
    """The text of the module."""
    lines = wrap(b85encode(dictionary).decode(), 118, break_on_hyphens=False)
    return HEADER + "".join(f"    {line!r}\n" for line in lines).replace("'", '"') + ")\n"


if __name__ == "__main__":
    samples: list[bytes | bytearray | memoryview] = [*of_packs(), *of_stories()]
    print(module(zstandard.train_dictionary(SIZE, samples).as_bytes()), end="")  # noqa: T201
