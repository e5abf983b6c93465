"""A customer who asks for it is forgotten: in the state, in what was told, and for events that come late."""

from engine_run import EngineRun, absence, complaint, order, rule_set, tick

from detectors.erasure import hash_of
from schemas.events import CustomerErased
from schemas.instants import DAY_MS
from schemas.rule_kinds import CountRule
from schemas.rules import Churn

RULES = rule_set(absence(9), CountRule(id="burst", version="1", of=["ticket.opened"], at_least=2, within="P30D"), churn=Churn())


def erased(day: float, customer: str = "ann") -> CustomerErased:
    return CustomerErased(id=f"erase-{customer}-{day}", customer_id=customer, at_ms=int(day * DAY_MS))


def taken_out(run: EngineRun) -> list[tuple[str, str]]:
    return [(one.topic, one.key) for decided in run.decisions for one in decided.tombstones]


def test_open_alerts_are_closed_and_everything_told_is_taken_out() -> None:
    run = EngineRun(RULES).feed(order(0), tick(9), order(12), tick(22), complaint(23), complaint(24))
    told = run.told
    run.feed(erased(25), tick(26))
    assert told == ["opened@9", "resolved@12", "opened@21", "opened@24"]
    assert run.told[4:] == ["expired@25", "expired@25"]
    alerts = {alert.alert_id for alert in run.alerts}
    assert len(alerts) == 3  # also the silence that was over
    assert set(taken_out(run)) == {("alerts", key) for key in alerts} | {("lifecycle", "ann"), ("risk", "ann")}
    assert {one.erased_ms for decided in run.decisions for one in decided.tombstones} == {25 * DAY_MS}


def test_the_proof_names_nobody() -> None:
    run = EngineRun(RULES).feed(order(0), tick(9), erased(10))
    (proof,) = [proof for decided in run.decisions for proof in decided.erasures]
    assert (proof.customer_hash, proof.at_ms, proof.alerts) == (hash_of("ann"), 10 * DAY_MS, 1)
    assert "ann" not in str(proof)


def test_no_state_of_the_customer_is_left() -> None:
    run = EngineRun(RULES).feed(order(0, "ann"), order(1, "bob"), tick(20))
    run.restored()
    run.feed(erased(30))
    changes = dict(run.engine.take_changes())
    assert changes[b"c/ann"] is None
    gone = [key for key in run._store if b"ann" in key]
    assert gone  # something was there
    assert all(changes[key] is None for key in gone)
    assert not any(b"ann" in (value or b"") for value in changes.values())


def test_events_from_before_do_not_bring_the_customer_back_and_later_ones_begin_anew() -> None:
    run = EngineRun(RULES).feed(order(0), erased(10), order(5), order(10), tick(30))
    assert run.told == []
    run.feed(order(31), tick(50))
    assert run.told == ["opened@40"]
    assert run.customer("ann").counts == {"order.placed": 1}


def test_a_second_erasure_of_the_same_instant_says_nothing_new() -> None:
    run = EngineRun(RULES).feed(order(0), erased(10), erased(10), erased(9))
    assert sum(len(decided.erasures) for decided in run.decisions) == 1


def test_who_was_never_here_is_kept_out_too() -> None:
    run = EngineRun(RULES).feed(erased(10), order(5), tick(30))
    assert run.told == []
    assert sum(len(decided.erasures) for decided in run.decisions) == 1


def test_an_erasure_outlives_a_crash() -> None:
    run = EngineRun(RULES).feed(order(0), erased(10)).restored().feed(order(5), tick(30))
    assert run.told == []
