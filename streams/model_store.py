"""The topic `churn.models`: the training state, the latest models as they were published, and which of them is held.

What stands here decides what `churn.control` has to say. Learn and the commands write here first, and then settle:
they publish what is due, look again, and are done when nothing else is due. So a roll-back wins over a model that learn
publishes at the same instant, and over a learner that was killed in between.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec
from aiokafka.structs import ConsumerRecord, TopicPartition

from schemas.codec import decode_record, encode
from schemas.control import ModelPublished
from schemas.errors import ContractError
from schemas.model_pin import ModelAction, ModelPin
from streams.log_writer import LogWriter
from streams.settings import Settings
from streams.topic_tail import read_to_end, reader
from streams.transactions import Place, Row

MODEL: Final = "churn"
STATE_KEY: Final = MODEL.encode()
PIN_KEY: Final = f"{MODEL}/pin".encode()
CONTROL_KEY: Final = f"model/{MODEL}".encode()
WHY_HEADER: Final = "churn-model-why"
KEPT: Final = 10
"""So many of the latest models can be gone back to; older ones are taken out."""
MOST_ACTIONS: Final = 100
"""So many decisions are remembered; they have to fit into a record."""
_VERSION_PREFIX: Final = f"{MODEL}/"


@dataclass
class ModelStore:
    """What the topic holds, as far as it was read."""

    state: bytes | None = None
    """The training state."""
    versions: dict[str, bytes] = field(default_factory=dict)
    """The models as they were published, by version, the newest last."""
    pin: ModelPin = field(default_factory=ModelPin)
    next_offset: int = 0

    def take(self, record: ConsumerRecord) -> None:
        """Take in one record, as compaction would.

        Raises:
            ContractError: a record of what is held that this release cannot read. To go on without it would undo a
                roll-back.
        """
        self.next_offset = record.offset + 1
        key = record.key or b""
        if key == STATE_KEY:
            self.state = record.value
        elif key == PIN_KEY:
            self.pin = decode_pin(record.value) if record.value is not None else ModelPin()
        elif key.startswith(_VERSION_PREFIX.encode()):
            version = key.decode(errors="replace").removeprefix(_VERSION_PREFIX)
            self.versions.pop(version, None)
            if record.value is not None:
                self.versions[version] = record.value

    async def refresh(self, settings: Settings) -> None:
        """Take in what was written since the last time.

        Raises:
            ContractError: see `take`.
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        topic = TopicPartition(settings.topic("models"), 0)
        async with reader(settings) as consumer:
            for record in await read_to_end(consumer, topic, self.next_offset):
                self.take(record)

    def model(self, version: str) -> ModelPublished:
        """A model that is kept.

        Raises:
            KeyError: there is none of that version.
            ContractError: this release cannot read it.
        """
        found = decode_record(self.versions[version])
        if not isinstance(found, ModelPublished):
            raise ContractError("bad_model", f"the record of model {version} is a {found.type}")
        return found

    def rows_with(self, published: ModelPublished) -> list[Row]:
        """What to write for a new model: itself, and tombstones of those that are no longer kept."""
        later = [version for version in self.versions if version != published.version]
        held = self.pin.held
        gone = [version for version in later[: 1 - KEPT] if held is None or version != held.version]
        return [
            Row(_key(published.version), encode(published)),
            *(Row(_key(version), None) for version in gone),
        ]

    def due(self) -> Row | None:
        """What `churn.control` has to say: the model that is held, else the newest; None before the first."""
        held = self.pin.held
        if held is not None:
            return self._held_row(held) if held.version in self.versions else None
        return Row(CONTROL_KEY, next(reversed(self.versions.values()))) if self.versions else None

    def _held_row(self, held: ModelAction) -> Row:
        """Always the same bytes, whoever publishes it."""
        again = msgspec.structs.replace(self.model(held.version), at_ms=held.at_ms, by=held.by)
        return Row(CONTROL_KEY, encode(again), [(WHY_HEADER, held.why.encode())])


async def settle(settings: Settings, writer: LogWriter, store: ModelStore, said: Row | None = None) -> Row | None:
    """Publish what is due until `churn.control` says it; returns what it says.

    Args:
        settings: broker and topics.
        writer: of the records.
        store: brought up to date.
        said: what this process was the last to publish, if anything.

    Raises:
        ContractError: what is due, or the pin, cannot be read.
        aiokafka.errors.KafkaError: the broker does not answer; it is not known whether anything was published.
    """
    while True:
        await store.refresh(settings)
        due = store.due()
        if due is None or due == said:
            return said
        await writer.write({Place(settings.topic("control"), 0): [due]})
        said = due


def with_action(pin: ModelPin, action: ModelAction) -> Row:
    """The record that adds a decision to those made so far.

    Raises:
        ContractError: nobody could read it: a name that is empty, a reason that is too long.
    """
    value = encode(ModelPin(actions=[*pin.actions, action][-MOST_ACTIONS:]))
    decode_pin(value)
    return Row(PIN_KEY, value)


def _key(version: str) -> bytes:
    return f"{_VERSION_PREFIX}{version}".encode()


def decode_pin(value: bytes) -> ModelPin:
    """Which model is held, as the topic has it.

    Raises:
        ContractError: it is no such record.
    """
    try:
        return msgspec.json.decode(value, type=ModelPin)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ContractError("bad_model", f"the record of the model that is held cannot be read: {error}") from None
