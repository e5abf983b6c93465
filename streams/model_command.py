"""`churnwatch model list`, `show`, `rollback` and `resume`: look at the models, and go back to an older one."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiokafka.structs import ConsumerRecord, TopicPartition

from detectors.scoring import Scorer
from schemas.codec import decode_record
from schemas.control import ModelPublished
from schemas.errors import ContractError
from schemas.model_pin import ModelAction
from streams.log_writer import LogWriter
from streams.model_store import CONTROL_KEY, ModelStore, settle, with_action
from streams.model_words import Changed, InForce, Models, Shown
from streams.settings import Settings
from streams.topic_tail import read_to_end, reader
from streams.transactions import Place
from streams.wallclock import now_ms

_NONE_YET: Final = (
    "no model is published yet: the role `learn` publishes the first after CHURN_LEARN_SNAPSHOT_EXAMPLES examples"
)


class ModelNotFound(RuntimeError):  # noqa: N818 - what was looked for
    """There is no such model; the message says which there are."""


class PinRefused(RuntimeError):  # noqa: N818 - what happened to the wish
    """It is so already, or others were quicker; the message says how."""


@dataclass(frozen=True, slots=True)
class _Topics:
    """What both topics say."""

    store: ModelStore
    in_force: InForce | None


def list_models(settings: Settings) -> Models:
    """The models that are kept, which is in force, and what people decided about them.

    Raises:
        ModelNotFound: none is published yet, or the topic does not exist.
        ContractError: which model is held cannot be read.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    found = asyncio.run(_read(settings))
    return Models(found.in_force, _readable(found.store), tuple(found.store.pin.actions), found.store.pin.held)


def show_model(settings: Settings, version: str | None) -> Shown:
    """One model with its quality and weights: by default the one in force.

    Raises:
        ModelNotFound: none is published yet, or none of this version is kept.
        ContractError: it cannot be read.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    found = asyncio.run(_read(settings))
    if found.in_force is not None and version in {None, found.in_force.model.version}:
        return Shown(found.in_force.model)
    if version is None:
        raise ModelNotFound(_NONE_YET)
    return Shown(_kept(found.store, version))


def rollback(settings: Settings, version: str, *, by: str, why: str = "") -> Changed:
    """Put an older model in force again, and hold it there until `resume`; learning goes on meanwhile.

    The decision is written before the model is published, so that learn cannot publish another after it.

    Args:
        settings: broker and topics.
        version: one that is kept.
        by: who does it, for the trail.
        why: for the trail.

    Raises:
        ModelNotFound: none is published yet, or none of this version is kept.
        PinRefused: it is held and in force already, or was taken out at the same instant.
        ContractError: this release cannot score it, or `by` or `why` cannot be kept.
        aiokafka.errors.KafkaError: the broker does not answer, or refuses.
    """

    def decide(found: _Topics) -> ModelAction:
        model = _kept(found.store, version)
        Scorer.of(model.document, version)
        held, in_force = found.store.pin.held, found.in_force
        if held is not None and in_force is not None and version == held.version == in_force.model.version:
            raise PinRefused(f"{version} is held already, {_told(held)}: `churnwatch model resume` lets new models in force")
        return ModelAction(action="rollback", version=version, at_ms=now_ms(), by=by, why=why)

    return asyncio.run(_changed(settings, decide))


def resume(settings: Settings, *, by: str, why: str = "") -> Changed:
    """Put the newest model in force, and each one that learn publishes from here on.

    Args:
        settings: broker and topics.
        by: who does it, for the trail.
        why: for the trail.

    Raises:
        ModelNotFound: none is published yet.
        PinRefused: no model is held.
        ContractError: `by` or `why` cannot be kept.
        aiokafka.errors.KafkaError: the broker does not answer, or refuses.
    """

    def decide(found: _Topics) -> ModelAction:
        held = found.store.pin.held
        if held is None:
            raise PinRefused("no model is held: each new one comes in force by itself")
        return ModelAction(action="resume", version=held.version, at_ms=now_ms(), by=by, why=why)

    return asyncio.run(_changed(settings, decide))


async def _changed(settings: Settings, decide: Callable[[_Topics], ModelAction]) -> Changed:
    found = await _read(settings)
    action = decide(found)
    writer = LogWriter(settings)
    try:
        await writer.write({Place(settings.topic("models"), 0): [with_action(found.store.pin, action)]})
        await settle(settings, writer, found.store)
    finally:
        await writer.close()
    in_force = (await _read(settings)).in_force
    if in_force is None:
        raise ModelNotFound(_NONE_YET)
    if action.action == "rollback" and in_force.model.version != action.version:
        raise PinRefused(
            f"{action.version} did not come in force: it was taken out at the same instant, or somebody else decided "
            f"otherwise. In force is {in_force}, and no new model follows it: see `churnwatch model list`, and choose again"
        )
    return Changed(action, in_force)


async def _read(settings: Settings) -> _Topics:
    control = settings.topic("control")
    async with reader(settings) as consumer:
        topics = await consumer.topics()
        for topic in (control, settings.topic("models")):
            if topic not in topics:
                raise ModelNotFound(f"the topic {topic} does not exist: `churnwatch topics` creates it")
        in_force = _in_force(await read_to_end(consumer, TopicPartition(control, 0)))
    store = ModelStore()
    await store.refresh(settings)
    if in_force is None and not store.versions:
        raise ModelNotFound(_NONE_YET)
    return _Topics(store, in_force)


def _in_force(records: list[ConsumerRecord]) -> InForce | None:
    last = next((record for record in reversed(records) if record.key == CONTROL_KEY and record.value is not None), None)
    if last is None:
        return None
    found = decode_record(last.value)
    if not isinstance(found, ModelPublished):
        raise ContractError("bad_model", f"the record of the model in force is a {found.type}")
    return InForce(found, last.offset, max(0, last.timestamp))


def _kept(store: ModelStore, version: str) -> ModelPublished:
    if version not in store.versions:
        kept = ", ".join(reversed(store.versions)) or "none; learn keeps each that it publishes"
        raise ModelNotFound(f"no model {version} is kept. There is: {kept}")
    return store.model(version)


def _readable(store: ModelStore) -> tuple[tuple[str, ModelPublished | None], ...]:
    """The newest first; None for what another release wrote and this one cannot read."""
    return tuple((version, _or_none(store, version)) for version in reversed(store.versions))


def _or_none(store: ModelStore, version: str) -> ModelPublished | None:
    try:
        return store.model(version)
    except ContractError:
        return None


def _told(held: ModelAction) -> str:
    return f"by {held.by}" + (f" ({held.why})" if held.why else "")
