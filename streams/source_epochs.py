"""Which topics the sources are, as `churn.progress` has it: ingest writes the first id, `sources reset` a later one."""

from collections.abc import Iterable

from aiokafka.structs import ConsumerRecord, TopicPartition

from schemas.codec import decode_source_epoch, encode
from schemas.errors import ContractError
from schemas.progress import EPOCH_KEY, SourceEpoch
from streams.settings import Settings
from streams.sources import SourcesError
from streams.topic_tail import read_to_end, reader
from streams.transactions import Row


def epoch_row(epoch: SourceEpoch) -> Row:
    """The record of `churn.progress`."""
    return Row(f"{EPOCH_KEY}{epoch.topic}".encode(), encode(epoch))


def epochs_in(records: Iterable[ConsumerRecord]) -> dict[str, SourceEpoch]:
    """The last epoch of each source topic among records of `churn.progress`.

    Raises:
        SourcesError: one of them cannot be read; to guess would be to count events twice, or to lose them.
    """
    found: dict[str, SourceEpoch] = {}
    for record in records:
        if record.value is None or not (record.key or b"").startswith(EPOCH_KEY.encode()):
            continue
        try:
            epoch = decode_source_epoch(record.value)
        except ContractError as error:
            key = (record.key or b"").decode(errors="replace")
            raise SourcesError(
                f"the record {key} at offset {record.offset} of churn.progress cannot be read ({error.message}): "
                "a newer release wrote it, or something else"
            ) from None
        found[epoch.topic] = epoch
    return found


class ProgressReader:
    """Reads `churn.progress`, and from then on what is new."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._next_offset = 0

    async def new(self) -> list[ConsumerRecord]:
        """What was written since the last call; at the first call, all there is.

        Raises:
            KafkaError: the broker does not answer.
        """
        async with reader(self._settings) as consumer:
            progress = TopicPartition(self._settings.topic("progress"), 0)
            records = await read_to_end(consumer, progress, self._next_offset)
        if records:
            self._next_offset = records[-1].offset + 1
        return records
