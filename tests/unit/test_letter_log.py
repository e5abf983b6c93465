"""What the log says about dead letters: each is counted in a line, and there are few lines."""

from structlog.testing import capture_logs

from streams.letter_log import LetterLog


class Log:
    """With a clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.letters = LetterLog(lambda: self.now_s)

    def add(self, topic: str, **reasons: int) -> list[tuple[str, str, int]]:
        with capture_logs() as lines:
            self.letters.add(topic, reasons)
        return [(line["topic"], line["reason"], line["count"]) for line in lines]

    def tell(self, *, everything: bool = False) -> list[tuple[str, str, int]]:
        with capture_logs() as lines:
            self.letters.tell(everything=everything)
        return [(line["topic"], line["reason"], line["count"]) for line in lines]


def test_the_first_letter_of_a_source_and_reason_is_told_of_at_once() -> None:
    log = Log()

    assert log.add("shop", bad_json=1) == [("shop", "bad_json", 1)]
    assert log.add("shop", bad_time=2) == [("shop", "bad_time", 2)]
    assert log.add("desk", bad_json=3) == [("desk", "bad_json", 3)]


def test_what_follows_is_one_line_in_ten_seconds_with_all_of_them() -> None:
    log = Log()
    log.add("shop", bad_json=1)
    assert [log.add("shop", bad_json=1) for _ in range(100)] == [[]] * 100

    log.now_s = 9.9
    assert log.tell() == []
    log.now_s = 10.0
    assert log.tell() == [("shop", "bad_json", 100)]
    assert log.tell() == []


def test_a_process_that_stops_tells_of_the_last_ones() -> None:
    log = Log()
    log.add("shop", bad_json=1)
    log.add("shop", bad_json=4)

    assert log.tell(everything=True) == [("shop", "bad_json", 4)]
