"""A mapping that makes nothing of a source's records is told, with examples, and not at every record."""

from pathlib import Path

from aiokafka.structs import ConsumerRecord
from structlog.testing import capture_logs

from streams.sources import Source
from streams.unmatched import MatchWatch

SOURCES = (Source("shop", "orders", Path("shop.yaml")), Source("web", "logins"))


def records(count: int, first: int = 0, value: bytes | None = b'{"kind": "cart"}') -> list[ConsumerRecord]:
    return [ConsumerRecord("shop", 2, first + n, 0, 0, None, value, None, 0, 0, ()) for n in range(count)]


def test_ten_records_of_which_nothing_was_made_are_told_with_examples() -> None:
    watch = MatchWatch(SOURCES)
    with capture_logs() as logs:
        watch.saw("shop", records(9), 0, {})
        assert not logs
        watch.saw("shop", records(1, 9), 0, {"no_type": 1})
    (told,) = logs
    assert (told["event"], told["log_level"]) == ("ingest.mapping_matches_nothing", "warning")
    assert (told["topic"], told["mapping"], told["records"]) == ("shop", "shop.yaml", 10)
    assert told["examples"] == ['shop/2/9 {"kind": "cart"}']


def test_it_is_told_again_when_there_are_ten_times_as_many() -> None:
    watch = MatchWatch(SOURCES)
    with capture_logs() as logs:
        for start in range(0, 1_200, 5):
            watch.saw("shop", records(5, start), 0, {})
    assert [entry["records"] for entry in logs] == [10, 100, 1_000]


def test_an_example_is_cut_and_there_are_at_most_three() -> None:
    with capture_logs() as logs:
        MatchWatch(SOURCES).saw("shop", records(50, value=b"x" * 500), 0, {})
    assert [len(example) for example in logs[0]["examples"]] == [200 + len("shop/2/0 ")] * 3


def test_one_event_or_another_fault_shows_that_the_mapping_is_the_right_one() -> None:
    for events, reasons in ((1, {}), (0, {"no_type": 9, "no_customer": 1})):
        watch = MatchWatch(SOURCES)
        with capture_logs() as logs:
            watch.saw("shop", records(10), events, reasons)
            watch.saw("shop", records(5_000), 0, {})
        assert not logs


def test_watermarks_and_sources_without_a_mapping_say_nothing() -> None:
    watch = MatchWatch(SOURCES)
    with capture_logs() as logs:
        watch.saw("shop", records(50, value=None), 0, {})
        watch.saw("web", records(50), 0, {})
    assert not logs
