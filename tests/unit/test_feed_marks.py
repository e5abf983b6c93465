"""Heartbeats become marks, ticks and the status of feeds. Times are seconds of the broker, drawn from left to right."""

from typing import Any

import msgspec

from schemas.control import FeedChanged, FeedConfirmed, Tick
from schemas.instants import HOUR_MS
from schemas.progress import Heartbeat
from schemas.rules import Feed, RuleSet
from streams.feed_marks import ClockForm, ClockState

TOPICS = {"orders": ("shop",), "logins": ("web",)}


def clock(mode: Any = "broker", topics: dict[str, tuple[str, ...]] | None = None) -> ClockState:
    return ClockState(ClockForm(mode=mode, topics=topics or TOPICS, lagging_after_ms=10, dead_after_ms=100))


def beat(
    topic: str,
    *,
    event_ms: int | None = None,
    caught_up: bool = True,
    partition: int = 0,
    partitions: int = 1,
    generation: int = 1,
    paused: str | None = None,
) -> Heartbeat:
    return Heartbeat(
        feed="any",
        topic=topic,
        partition=partition,
        partitions=partitions,
        generation=generation,
        position=0,
        max_event_ms=event_ms,
        caught_up=caught_up,
        paused=paused,
    )


def marks(state: ClockState) -> dict[str, int | None]:
    """Of the tick that is due now, which there must be."""
    return ticks(state)[-1].marks_ms


def ticks(state: ClockState, *, idle: bool = False) -> list[Tick]:
    return [record for record in state.decide(idle=idle) if isinstance(record, Tick)]


def changes(state: ClockState) -> list[tuple[str, str, int]]:
    return [(c.source, c.status, c.since_ms) for c in state.decide(idle=True) if isinstance(c, FeedChanged)]


# --- the broker's time


def test_a_feed_that_was_read_to_its_end_is_as_far_as_the_broker_was_then() -> None:
    #  broker   1000   1007
    #  shop     caught up
    #  web             caught up
    state = clock()
    state.heartbeat(beat("shop", event_ms=400), 1_000)
    state.heartbeat(beat("web"), 1_007)

    assert ticks(state) == [Tick(at_ms=1_007, marks_ms={"orders": 1_000, "logins": 1_007})]


def test_a_feed_with_a_backlog_is_as_far_as_its_events() -> None:
    state = clock()
    state.heartbeat(beat("shop", event_ms=400, caught_up=False), 1_000)

    assert marks(state) == {"orders": 400, "logins": None}


def test_events_ahead_of_the_broker_do_not_carry_the_mark_past_it() -> None:
    state = clock()
    state.heartbeat(beat("shop", event_ms=5_000, caught_up=False), 1_000)

    assert marks(state)["orders"] == 1_000


def test_a_backlog_that_comes_up_later_stops_the_mark_and_does_not_move_it_back() -> None:
    #  broker  1000        1020       1040
    #  shop    caught up   backlog    backlog
    #  event               800        1015
    #  mark    1000        1000       1015
    state = clock()
    state.heartbeat(beat("shop"), 1_000)
    assert marks(state)["orders"] == 1_000
    state.heartbeat(beat("shop", event_ms=800, caught_up=False), 1_020)
    assert ticks(state) == []
    state.heartbeat(beat("shop", event_ms=1_015, caught_up=False), 1_040)
    assert marks(state)["orders"] == 1_015


def test_a_feed_has_no_mark_until_every_partition_of_every_topic_has_reported() -> None:
    state = clock(topics={"orders": ("shop", "till")})
    state.heartbeat(beat("shop", partition=0, partitions=2), 1_000)
    assert ticks(state) == []
    state.heartbeat(beat("till"), 1_001)
    assert ticks(state) == []
    state.heartbeat(beat("shop", partition=1, partitions=2), 1_002)
    assert marks(state) == {"orders": 1_000}


def test_a_new_partition_of_a_topic_holds_the_mark_until_it_reports() -> None:
    state = clock(topics={"orders": ("shop",)})
    state.heartbeat(beat("shop"), 1_000)
    assert marks(state) == {"orders": 1_000}
    state.heartbeat(beat("shop", partitions=2), 1_005)
    assert ticks(state) == []
    state.heartbeat(beat("shop", partition=1, partitions=2), 1_006)
    assert marks(state) == {"orders": 1_005}


def test_a_feed_is_as_far_as_its_slowest_partition() -> None:
    state = clock()
    state.heartbeat(beat("shop", partition=0, partitions=2, event_ms=300, caught_up=False), 1_000)
    state.heartbeat(beat("shop", partition=1, partitions=2, event_ms=200, caught_up=False), 1_000)

    assert marks(state)["orders"] == 200


def test_the_lateness_of_a_feed_is_taken_off_and_a_longer_one_stops_the_mark() -> None:
    state = clock()
    state.rules(rules(orders="PT1S"))
    state.heartbeat(beat("shop"), 5_000)
    assert marks(state)["orders"] == 4_000
    state.rules(rules(orders="PT3S"))
    state.heartbeat(beat("shop"), 6_000)
    assert ticks(state) == []
    state.heartbeat(beat("shop"), 7_500)
    assert marks(state)["orders"] == 4_500


def test_a_heartbeat_of_a_lower_generation_is_a_zombies_and_is_ignored() -> None:
    state = clock()
    state.heartbeat(beat("shop", generation=5, event_ms=100, caught_up=False), 1_000)
    state.heartbeat(beat("shop", generation=4), 1_010)

    assert marks(state)["orders"] == 100


def test_generations_that_start_over_are_believed_once_the_old_ones_are_dead() -> None:
    state = clock()
    state.heartbeat(beat("shop", generation=5), 1_000)
    state.heartbeat(beat("shop", generation=1), 1_100)
    assert marks(state)["orders"] == 1_000
    state.heartbeat(beat("shop", generation=1), 1_101)
    assert marks(state)["orders"] == 1_101


def test_a_topic_that_is_no_source_any_more_is_ignored() -> None:
    state = clock(topics={"orders": ("shop",)})
    state.heartbeat(beat("gone", event_ms=1), 1_000)
    state.heartbeat(beat("shop"), 1_001)

    assert marks(state) == {"orders": 1_001}


def test_nothing_is_told_before_the_broker_has_said_what_time_it_is() -> None:
    assert clock().decide(idle=True) == []


def test_a_tick_is_due_only_when_a_mark_moved_or_the_clock_was_idle_and_time_has_passed() -> None:
    state = clock()
    state.heartbeat(beat("shop"), 1_000)
    assert len(ticks(state)) == 1
    assert ticks(state) == []
    assert ticks(state, idle=True) == []
    state.broker_time(1_005)
    assert ticks(state) == []
    assert ticks(state, idle=True) == [Tick(at_ms=1_005, marks_ms={"orders": 1_000, "logins": None})]


def test_a_broker_whose_time_steps_back_moves_no_tick_back() -> None:
    state = clock()
    state.heartbeat(beat("shop"), 1_000)
    state.decide()
    state.heartbeat(beat("shop"), 990)
    state.heartbeat(beat("web"), 991)

    assert ticks(state) == [Tick(at_ms=1_000, marks_ms={"orders": 1_000, "logins": 991})]


def test_a_clock_that_takes_over_goes_on_from_the_last_tick_in_the_log() -> None:
    #  log       tick 1000 (orders 1000, logins 900)
    #  progress  compacted: only the backlog of shop, and nothing of web, is left
    state = clock()
    state.resume(Tick(at_ms=1_000, marks_ms={"orders": 1_000, "logins": 900}))
    state.heartbeat(beat("shop", event_ms=700, caught_up=False), 995)

    assert ticks(state, idle=True) == []
    state.heartbeat(beat("web"), 1_010)
    assert ticks(state) == [Tick(at_ms=1_010, marks_ms={"orders": 1_000, "logins": 1_010})]


# --- the status of feeds


def test_a_feed_without_heartbeats_lags_then_is_dead_then_lives_again() -> None:
    #  broker  1000    1010  1011      1100  1101   1102
    #  web     beat                                 beat
    #  shop    beat    ...   (the broker's time goes on)
    state = clock(topics={"logins": ("web",)})
    state.heartbeat(beat("web"), 1_000)
    assert changes(state) == [("logins", "live", 1_000)]
    state.broker_time(1_010)
    assert changes(state) == []
    state.broker_time(1_011)
    assert changes(state) == [("logins", "lagging", 1_000)]
    state.broker_time(1_100)
    assert changes(state) == []
    state.broker_time(1_101)
    assert changes(state) == [("logins", "dead", 1_000)]
    state.heartbeat(beat("web"), 1_102)
    assert changes(state) == [("logins", "live", 1_102)]


def test_a_feed_is_as_quiet_as_its_quietest_partition() -> None:
    state = clock(topics={"logins": ("web",)})
    state.heartbeat(beat("web", partition=0, partitions=2), 1_000)
    state.heartbeat(beat("web", partition=1, partitions=2), 1_000)
    state.heartbeat(beat("web", partition=1, partitions=2), 1_020)

    assert changes(state) == [("logins", "lagging", 1_000)]


def test_a_feed_that_never_reports_is_given_some_time_and_then_told() -> None:
    state = clock()
    state.heartbeat(beat("shop"), 1_000)
    assert changes(state) == [("orders", "live", 1_000)]
    state.heartbeat(beat("shop"), 1_011)
    assert changes(state) == [("logins", "lagging", 1_000)]


def test_the_change_of_a_feed_stands_before_the_tick() -> None:
    state = clock(topics={"logins": ("web",)})
    state.heartbeat(beat("web"), 1_000)

    assert [record.type for record in state.decide()] == ["feed.changed", "tick"]


# --- silent feeds; times are hours

ORDERS_ONLY: dict[str, tuple[str, ...]] = {"orders": ("shop",)}


class Shop:
    """A clock that is told every five minutes of a shop with one order a minute, from some hour on without any."""

    def __init__(self, *, lateness: str = "PT0S") -> None:
        form = ClockForm(mode="broker", topics=ORDERS_ONLY, lagging_after_ms=HOUR_MS, dead_after_ms=10 * HOUR_MS)
        self.state = ClockState(form)
        self.state.rules(rules(orders=lateness))
        self.position = 0
        self.hour = 0.0
        self.event_ms = 0
        self.told: list[FeedChanged | Tick] = []

    def goes_on(self, hours: float, *, sells: bool = True, events_behind_h: float = 0.0, caught_up: bool = True) -> "Shop":
        for _ in range(round(hours * 12)):
            self.hour += 1 / 12
            self.position += 5 if sells else 0
            now_ms = round(self.hour * HOUR_MS)
            if sells:
                self.event_ms = max(0, now_ms - round(events_behind_h * HOUR_MS))
            found = beat("shop", event_ms=self.event_ms, caught_up=caught_up)
            self.state.heartbeat(msgspec.structs.replace(found, position=self.position), now_ms)
            self.told += self.state.decide()
        return self

    @property
    def changes(self) -> list[tuple[str, float, float]]:
        """Status, since when, and when it was told."""
        found = [one for one in self.told if isinstance(one, FeedChanged)]
        return [(one.status, round(one.since_ms / HOUR_MS, 2), round(one.at_ms / HOUR_MS, 2)) for one in found]

    @property
    def mark(self) -> float:
        mark_ms = next(one.marks_ms["orders"] for one in reversed(self.told) if isinstance(one, Tick))
        return round((mark_ms or 0) / HOUR_MS, 2)


def test_a_feed_that_is_quieter_than_it_ever_is_is_silent_and_its_mark_stands_still() -> None:
    shop = Shop().goes_on(500).goes_on(3, sells=False)
    assert shop.changes[1:] == [("silent", 500, 500.33)]
    assert shop.mark == 500.25
    shop.goes_on(0.25)
    assert shop.changes[2:] == [("live", 503.08, 503.08)]
    assert shop.mark == 503.25


def test_what_comes_late_after_a_silence_moves_the_mark_by_its_events_until_it_is_up_to_date() -> None:
    #  hour   500      503          504          505
    #         silent   orders 2 h   1 h late     on time: the mark jumps to now
    shop = Shop().goes_on(500).goes_on(3, sells=False).goes_on(1, events_behind_h=2)
    assert shop.changes[2:] == [("live", 503.08, 503.08)]
    assert shop.mark == 502
    assert shop.goes_on(1, events_behind_h=1).mark == 504
    assert shop.goes_on(0.25).mark == 505.25


def test_a_silence_that_somebody_confirms_is_over_and_the_mark_goes_on() -> None:
    shop = Shop().goes_on(500).goes_on(3, sells=False)
    shop.state.confirm(confirmed(499, 520))
    shop.goes_on(1, sells=False)
    assert shop.changes[2:] == [("live", 503.08, 503.08)]
    assert shop.mark == 504
    shop.goes_on(20, sells=False)
    assert shop.changes[3:] == [("silent", 520, 520.33)]


def test_a_confirmation_of_another_time_excuses_nothing() -> None:
    shop = Shop().goes_on(500).goes_on(1, sells=False)
    shop.state.confirm(confirmed(300, 400))
    shop.state.confirm(confirmed(500.5, 520))
    assert shop.goes_on(2, sells=False).changes[1:] == [("silent", 500, 500.33)]


def test_a_clock_that_takes_over_says_again_that_the_feed_is_silent_and_holds_its_mark() -> None:
    shop = Shop().goes_on(500).goes_on(3, sells=False)
    heir = Shop()
    heir.state.recall(shop.state._arrivals["orders"].snapshot("orders"))
    heir.state.resume(next(one for one in reversed(shop.told) if isinstance(one, Tick)))
    heir.hour, heir.position, heir.event_ms = shop.hour, shop.position, shop.event_ms
    heir.goes_on(1, sells=False)
    assert heir.changes == [("silent", 500, 503.08)]
    assert [one for one in heir.told if isinstance(one, Tick)] == []
    assert heir.goes_on(1 / 12).changes[1:] == [("live", 504.08, 504.08)]


def test_a_clock_that_takes_over_while_a_silence_is_caught_up_with_goes_by_the_events_too() -> None:
    shop = Shop().goes_on(500).goes_on(3, sells=False).goes_on(1, events_behind_h=2)
    heir = Shop()
    heir.state.recall(shop.state._arrivals["orders"].snapshot("orders"))
    heir.hour, heir.position = shop.hour, shop.position
    assert heir.goes_on(1, events_behind_h=2).mark == 503


def test_what_the_clock_wrote_itself_is_nothing_new_to_it() -> None:
    shop = Shop().goes_on(500)
    kept = shop.state._arrivals["orders"].snapshot("orders")
    shop.goes_on(3, sells=False)
    shop.state.recall(kept)
    assert shop.goes_on(1, sells=False).changes[1:] == [("silent", 500, 500.33)]


def test_a_feed_whose_ingest_is_dead_is_dead_and_silent_once_it_reports_again() -> None:
    shop = Shop().goes_on(500).goes_on(1, sells=False)
    shop.hour += 12
    shop.state.broker_time(round(shop.hour * HOUR_MS))
    shop.told += shop.state.decide()
    shop.goes_on(1, sells=False)
    assert [status for status, *_ in shop.changes[1:]] == ["silent", "dead", "silent"]


def test_history_is_never_silent() -> None:
    state = clock("event", ORDERS_ONLY)
    state.heartbeat(beat("shop", event_ms=50), 1_000)
    state.decide()
    state.broker_time(10_000 * HOUR_MS)
    assert state.learned() == []
    assert state.statuses() == {"orders": "live"}


# --- the time of the events


def test_on_event_time_the_marks_are_those_of_the_events_whatever_the_broker_says() -> None:
    state = clock("event")
    state.heartbeat(beat("shop", event_ms=50), 1_000)
    state.heartbeat(beat("web", event_ms=45), 1_000)

    assert ticks(state) == [Tick(at_ms=50, marks_ms={"orders": 50, "logins": 45})]
    state.broker_time(9_000)
    assert state.decide(idle=True) == []


def test_on_event_time_nothing_is_told_before_the_first_event() -> None:
    state = clock("event")
    state.heartbeat(beat("shop"), 1_000)

    assert state.decide(idle=True) == []


def test_on_event_time_a_feed_waits_for_the_slowest_of_its_partitions() -> None:
    state = clock("event", {"orders": ("shop",)})
    state.heartbeat(beat("shop", event_ms=50, partitions=2), 1_000)
    assert state.decide() == []
    state.heartbeat(beat("shop", event_ms=30, partition=1, partitions=2), 1_000)
    assert marks(state) == {"orders": 30}


def test_on_event_time_a_restarted_ingest_that_knows_of_no_event_takes_nothing_back() -> None:
    state = clock("event", {"orders": ("shop",)})
    state.heartbeat(beat("shop", event_ms=50), 1_000)
    state.decide()
    state.heartbeat(beat("shop", event_ms=None, generation=2), 2_000)

    assert state.decide() == []
    state.heartbeat(beat("shop", event_ms=60, generation=2), 2_001)
    assert marks(state) == {"orders": 60}


def test_on_event_time_a_feed_that_falls_behind_the_others_lags_and_then_is_dead() -> None:
    #  shop   100      111      201      201
    #  web    100      100      100      195
    state = clock("event")
    state.heartbeat(beat("shop", event_ms=100), 1)
    state.heartbeat(beat("web", event_ms=100), 1)
    assert changes(state) == [("logins", "live", 100), ("orders", "live", 100)]
    state.heartbeat(beat("shop", event_ms=111), 2)
    assert changes(state) == [("logins", "lagging", 100)]
    state.heartbeat(beat("shop", event_ms=201), 3)
    assert changes(state) == [("logins", "dead", 100)]
    state.heartbeat(beat("web", event_ms=195), 4)
    assert changes(state) == [("logins", "live", 201)]


# --- what the metrics show


def test_the_lag_of_a_feed_is_its_distance_from_the_last_tick() -> None:
    state = clock()
    state.heartbeat(beat("shop", event_ms=400, caught_up=False), 1_000)
    state.decide()

    assert state.lags_ms() == {"orders": 600, "logins": None}
    assert state.statuses() == {"orders": "live"}


def confirmed(first_h: float, end_h: float) -> FeedConfirmed:
    return FeedConfirmed(at_ms=0, source="orders", from_ms=round(first_h * HOUR_MS), until_ms=round(end_h * HOUR_MS))


def rules(**lateness: str) -> RuleSet:
    feeds = {name: Feed(types=["order.*"], lateness=text) for name, text in lateness.items()}
    return RuleSet(version="1", tenant="t", feeds=feeds)


# --- sources that ingest has paused


def reasons(state: ClockState) -> list[tuple[str, str, int, str | None]]:
    return [(c.source, c.status, c.since_ms, c.reason) for c in state.decide(idle=True) if isinstance(c, FeedChanged)]


def test_a_feed_is_dead_at_once_while_one_of_its_partitions_is_paused_and_its_mark_stands() -> None:
    #  broker   1000   1005         1006          1007
    #  shop/0   read   read         read          read
    #  shop/1   read   poison       poison        read
    state = clock(topics={"orders": ("shop",)})
    for at_ms, paused in ((1_000, None), (1_005, "poison"), (1_006, "poison"), (1_007, None)):
        state.heartbeat(beat("shop", partitions=2), at_ms)
        state.heartbeat(beat("shop", partition=1, partitions=2, caught_up=paused is None, paused=paused), at_ms)
        changed = reasons(state)
        if at_ms == 1_000:
            assert changed == [("orders", "live", 1_000, None)]
        elif at_ms == 1_005:
            assert changed == [("orders", "dead", 1_005, "poison")]
            assert state.lags_ms() == {"orders": 5}
        elif at_ms == 1_006:
            assert changed == []
        else:
            assert changed == [("orders", "live", 1_007, None)]
            assert state.lags_ms() == {"orders": 0}


def test_a_feed_that_is_dead_already_is_told_again_with_the_reason() -> None:
    #  broker   1000   1200                  1205
    #  shop     read   (nothing for long)    its topic was made again
    state = clock(topics={"orders": ("shop",)})
    state.heartbeat(beat("shop"), 1_000)
    state.decide()
    state.broker_time(1_200)
    assert reasons(state) == [("orders", "dead", 1_000, None)]

    state.heartbeat(beat("shop", caught_up=False, paused="recreated"), 1_205)

    assert reasons(state) == [("orders", "dead", 1_205, "recreated")]


def test_partitions_that_were_added_hold_the_mark_of_their_feed_which_never_goes_back() -> None:
    #  broker   1000      1005                    1010
    #  shop/0   1 of 1    1 of 2                  1 of 2
    #  shop/1                                     read from its beginning: an old event, then to its end
    state = clock(topics={"orders": ("shop",)})
    state.heartbeat(beat("shop"), 1_000)
    assert marks(state) == {"orders": 1_000}
    state.heartbeat(beat("shop", partitions=2), 1_005)
    assert ticks(state, idle=True)[-1].marks_ms == {"orders": 1_000}
    state.heartbeat(beat("shop", partition=1, partitions=2, event_ms=400, caught_up=False), 1_010)
    state.heartbeat(beat("shop", partitions=2), 1_010)
    assert ticks(state, idle=True)[-1].marks_ms == {"orders": 1_000}

    state.heartbeat(beat("shop", partition=1, partitions=2, event_ms=900), 1_011)

    assert marks(state) == {"orders": 1_010}
