"""How many come in a second, and how much is held at once."""

from streams.door_limits import Space, TokenBucket


def test_as_many_as_a_second_brings_may_come_at_once() -> None:
    bucket = TokenBucket(3, now_s=100.0)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_a_token_comes_back_after_its_time_and_not_before() -> None:
    #  four a second: one each 0.25 s
    bucket = TokenBucket(4, now_s=0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True] * 4
    assert bucket.take(0.24) is False
    assert bucket.take(0.25) is True


def test_a_long_quiet_time_does_not_save_up_tokens() -> None:
    bucket = TokenBucket(2, now_s=0.0)
    assert [bucket.take(3600.0) for _ in range(3)] == [True, True, False]


def test_who_is_refused_is_told_when_there_will_be_a_token() -> None:
    bucket = TokenBucket(0.1, now_s=0.0)  # one each 10 s
    assert bucket.wait_s(0.0) == 0
    assert bucket.take(0.0)
    assert bucket.wait_s(0.0) == 10
    assert bucket.wait_s(9.5) == 1
    assert bucket.take(10.0)


def test_asking_takes_nothing() -> None:
    bucket = TokenBucket(1, now_s=0.0)
    assert [bucket.wait_s(0.0) for _ in range(3)] == [0, 0, 0]
    assert bucket.take(0.0)


def test_what_does_not_fit_is_not_let_in_and_takes_no_room() -> None:
    space = Space(100)
    assert space.enter(60)
    assert not space.enter(41)
    assert (space.taken_bytes, space.requests) == (60, 1)
    assert space.enter(40)
    space.leave(60)
    space.leave(40)
    assert (space.taken_bytes, space.requests) == (0, 0)
