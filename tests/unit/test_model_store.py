"""What the model topic holds: the latest models, which of them is held, and what is due in the control topic."""

import pytest
from aiokafka.structs import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st
from standing_run import model

from schemas.codec import decode_record, encode
from schemas.control import ModelPublished, Tick
from schemas.errors import ContractError
from schemas.model_pin import ModelAction, ModelPin
from streams.model_store import CONTROL_KEY, KEPT, MOST_ACTIONS, PIN_KEY, STATE_KEY, ModelStore, with_action
from streams.transactions import Row


def record(offset: int, key: bytes, value: bytes | None) -> ConsumerRecord:
    return ConsumerRecord("models", 0, offset, 0, 0, key, value, None, len(key), len(value or b""), ())


def stored(*rows: Row) -> ModelStore:
    store = ModelStore()
    for offset, row in enumerate(rows):
        store.take(record(offset, row.key or b"", row.value))
    return store


def decided(what: str, version: str, at_ms: int = 5) -> ModelAction:
    return ModelAction(
        action="rollback" if what == "rollback" else "resume", version=version, at_ms=at_ms, by="lena", why="bad"
    )


def due_version(store: ModelStore) -> str | None:
    row = store.due()
    if row is None:
        return None
    found = decode_record(row.value or b"")
    assert isinstance(found, ModelPublished)
    assert row.key == CONTROL_KEY
    return found.version


class Learned:
    """Rows as learn and the commands write them, and what must be kept, told naively."""

    def __init__(self) -> None:
        self.store = ModelStore()
        self.rows: list[Row] = []
        self.published: list[str] = []

    def write(self, rows: list[Row]) -> None:
        for row in rows:
            self.store.take(record(len(self.rows), row.key or b"", row.value))
            self.rows.append(row)

    def learn(self) -> None:
        published = model(revision=len(self.published) + 1)
        self.write(self.store.rows_with(published))
        self.write([Row(STATE_KEY, published.version.encode())])
        self.published.append(published.version)

    def decide(self, what: str, place: int) -> None:
        versions = list(self.store.versions)
        if versions:
            self.write([with_action(self.store.pin, decided(what, versions[place % len(versions)]))])


STEPS = st.one_of(st.integers(1, KEPT + 2), st.tuples(st.sampled_from(["rollback", "resume"]), st.integers(0, 20)))


@given(st.lists(STEPS, max_size=12))
def test_the_latest_and_the_held_are_kept_and_compaction_changes_nothing(steps: list[int | tuple[str, int]]) -> None:
    run = Learned()
    for step in steps:
        for _ in range(step if isinstance(step, int) else 0):
            held, before = run.store.pin.held, set(run.store.versions)
            run.learn()
            expected = set(run.published[-KEPT:]) | ({held.version} if held else set())
            assert set(run.store.versions) == expected & (before | {run.published[-1]})
        if not isinstance(step, int):
            run.decide(*step)
    compacted = {row.key: row for row in run.rows}
    again = stored(*(row for row in run.rows if compacted[row.key] is row))

    assert (again.state, again.versions, again.pin) == (run.store.state, run.store.versions, run.store.pin)
    held = run.store.pin.held
    assert due_version(again) == (held.version if held else run.published[-1] if run.published else None)


def test_what_is_held_is_always_the_same_bytes_with_who_and_why() -> None:
    store = stored(*ModelStore().rows_with(model()), with_action(ModelPin(), decided("rollback", "m1", at_ms=77)))
    row = store.due()
    assert row is not None
    assert row == store.due()
    found = decode_record(row.value or b"")
    assert isinstance(found, ModelPublished)
    assert (found.by, found.at_ms, found.document) == ("lena", 77, model().document)
    assert row.headers == [("churn-model-why", b"bad")]


def test_a_model_that_is_held_and_gone_leaves_what_is_in_force() -> None:
    store = stored(*ModelStore().rows_with(model(revision=2)), with_action(ModelPin(), decided("rollback", "m1")))
    assert store.due() is None


@pytest.mark.parametrize("value", [b"{", b'{"actions":[{"action":"forget"}]}', b"\xff"])
def test_a_decision_that_cannot_be_read_is_no_reason_to_go_on(value: bytes) -> None:
    with pytest.raises(ContractError, match="the model that is held cannot be read"):
        stored(Row(PIN_KEY, value))


@pytest.mark.parametrize("harm", [{"by": ""}, {"why": "x" * 513}])
def test_a_decision_that_nobody_could_read_is_not_made(harm: dict[str, str]) -> None:
    fields = {"by": "lena", "why": "", **harm}
    with pytest.raises(ContractError):
        with_action(ModelPin(), ModelAction(action="rollback", version="m1", at_ms=1, **fields))


def test_so_many_decisions_are_remembered_the_latest_always() -> None:
    pin = ModelPin()
    for number in range(MOST_ACTIONS + 5):
        pin = stored(with_action(pin, decided("rollback", f"m{number}"))).pin
    assert [action.version for action in pin.actions] == [f"m{number}" for number in range(5, MOST_ACTIONS + 5)]


def test_a_model_that_another_release_wrote_is_told_when_it_is_needed() -> None:
    store = stored(Row(b"churn/m1", encode(Tick(at_ms=1))), Row(b"churn/m2", b'{"type":"model.published","shape":3}'))
    assert list(store.versions) == ["m1", "m2"]
    for version in store.versions:
        with pytest.raises(ContractError):
            store.model(version)
