"""How far a source is behind, how quickly it is read, and when that is worth a line in the log. Seconds, left to right."""

from streams.catch_up import Backlog, CatchUp


def told(catch_up: CatchUp, behind: list[int], *, read_per_s: int = 100) -> list[tuple[int, Backlog]]:
    """A report each second."""
    lines = []
    for second, records in enumerate(behind):
        line = catch_up.report("shop", records, second * read_per_s, float(second))
        if line is not None:
            lines.append((second, line))
    return lines


def test_a_backlog_is_told_every_ten_seconds_with_its_rate_and_when_it_will_be_gone() -> None:
    #  behind   3000 2900 ... 0 in 30 s: 100 read a second, none arrive
    lines = told(CatchUp(), list(range(3_000, 0, -100)))

    assert [second for second, _ in lines] == [10, 20]
    assert lines[0][1] == Backlog(behind_records=2_000, rate_per_s=100, eta_s=20)


def test_what_arrives_meanwhile_makes_it_last_longer() -> None:
    #  100 read a second, 50 arrive
    (_, line), *_ = told(CatchUp(), list(range(3_000, 0, -50)))

    assert (line.rate_per_s, line.eta_s) == (100, 50)


def test_a_backlog_that_does_not_get_less_has_no_end() -> None:
    (_, line), *_ = told(CatchUp(), [3_000] * 15)

    assert line.eta_s is None


def test_what_is_under_way_is_no_backlog() -> None:
    catch_up = CatchUp()

    assert told(catch_up, [90, 10, 60, 0] * 20) == []
    assert catch_up.backlogs["shop"] == Backlog(0, 0.0, 0.0)


def test_a_source_that_others_read_now_is_forgotten() -> None:
    catch_up = CatchUp()
    told(catch_up, [3_000] * 5)

    catch_up.forget(["shop", "web"])

    assert catch_up.backlogs == {}
    assert told(catch_up, [3_000] * 5) == []
