"""The records of `churn.deliveries` as this role reads and writes them."""

from collections.abc import Iterable, Sequence
from typing import Final

import structlog
from aiokafka.structs import ConsumerRecord

from schemas.codec import decode_ledger, encode
from schemas.deliveries import AnyLedger, StormOrder
from schemas.errors import ContractError
from streams.log_writer import LogWriter
from streams.settings import Settings
from streams.transactions import Place, Row

EVERYBODY: Final = "*"
"""Recipient of a record that is for all."""

log = structlog.get_logger("churn.dispatch")


class Ledger:
    """What the topic holds, reduced from its beginning: of each key the last record."""

    def __init__(self) -> None:
        self._rows: dict[bytes, AnyLedger] = {}

    def take(self, record: ConsumerRecord) -> AnyLedger | None:
        """The next record of the topic; what it says, None if it takes something back or cannot be read."""
        if record.key is None:
            return None
        if record.value is None:
            self._rows.pop(record.key, None)
            return None
        try:
            row = decode_ledger(record.value)
        except ContractError as error:
            log.error("deliveries.unreadable", offset=record.offset, reason=error.code, message=error.message)  # noqa: TRY400
            return None
        self._rows[record.key] = row
        return row

    def of(self, recipient: str) -> list[AnyLedger]:
        """What is known of a recipient, and what is for everybody."""
        return [row for row in self._rows.values() if row.recipient in {recipient, EVERYBODY}]

    def orders(self) -> list[StormOrder]:
        """What people decided about storms."""
        return [row for row in self._rows.values() if isinstance(row, StormOrder)]

    def recipients(self) -> set[str]:
        """Of whom anything is known."""
        return {row.recipient for row in self._rows.values()} - {EVERYBODY}

    def rows(self) -> Iterable[AnyLedger]:
        """All of them."""
        return self._rows.values()


class LedgerWriter:
    """Writes to the topic; what it returned from is in all in-sync replicas."""

    def __init__(self, settings: Settings) -> None:
        self._writer = LogWriter(settings)
        self._place = Place(settings.topic("deliveries"), 0)
        self._letters = Place(settings.topic("deadletters"), 0)

    async def write(self, rows: Iterable[AnyLedger], forgotten: Iterable[bytes] = ()) -> None:
        """Records in their order, then tombstones.

        Raises:
            KafkaError: some are not there, or it is not known.
        """
        written = [Row(row.key(), encode(row)) for row in rows] + [Row(key, None) for key in forgotten]
        if written:
            await self._writer.write({self._place: written})

    async def put_aside(self, letters: Sequence[Row]) -> None:
        """Dead letters.

        Raises:
            KafkaError: some are not there, or it is not known.
        """
        if letters:
            await self._writer.write({self._letters: letters})

    async def close(self) -> None:
        """Let go of the broker."""
        await self._writer.close()
