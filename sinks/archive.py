"""The archive: every alert, risk and stage in Parquet files, in the order of its topic and each once."""

import asyncio
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from sinks.archive_files import ArchiveFiles, moved
from sinks.archive_rows import ROW_BYTES, Erasure, Row, erasure_of, row_of
from sinks.stores import Partition, Told

MOST_BYTES: Final = 32 << 20
"""So much is held in memory, about, before it is written to files."""


class Archive:
    """Gathers rows, and rolls them into files when they are many or old.

    What is not in files yet is read again after a crash, for positions lie with the files. Bounded memory: whoever delivers
    waits while a roll is written.

    Args:
        folder: of the files.
        every_s: after so long a row is in a file.
        most_bytes: held in memory before that.
    """

    name = "archive"

    def __init__(self, folder: Path, every_s: float, most_bytes: int = MOST_BYTES) -> None:
        self.files = ArchiveFiles(folder)
        self._every_s, self._most_bytes = every_s, most_bytes
        self._kept: dict[Partition, int] = {}
        self._reached: dict[Partition, int] = {}
        self._taken: dict[Partition, int] = {}
        """The offset behind the last record that is gathered: one that is told again is not gathered again."""
        self._rows: list[Row] = []
        self._erasures: list[Erasure] = []
        self._bytes = 0
        self._since_s = 0.0
        self._is_rolling = threading.Lock()

    async def positions(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """Where the files end; what was gathered is forgotten."""
        found = await asyncio.to_thread(self.files.open, partitions)
        self._kept, self._reached, self._taken = dict(found), dict(found), dict(found)
        self._clear()
        return found

    async def take(self, told: Sequence[Told]) -> None:
        """Gather them. Nothing can fail yet."""
        for one in told:
            if one.offset < self._taken.get(one.partition, 0):
                continue
            self._taken[one.partition] = one.offset + 1
            if (row := row_of(one)) is not None:
                self._rows.append(row)
                self._bytes += row.bytes
            if (erasure := erasure_of(one)) is not None:
                self._erasures.append(erasure)
                self._bytes += ROW_BYTES

    async def advance(self, reached: Mapping[Partition, int]) -> Mapping[Partition, int]:
        """What was gathered is whole up to these offsets; it is written if it is much or old."""
        if not self._is_anything_to_keep():
            self._since_s = asyncio.get_running_loop().time()
        self._reached |= reached
        return await self._roll_if_due()

    async def tend(self) -> Mapping[Partition, int]:
        """See whether the files are still there, and write what is old."""
        await asyncio.to_thread(self._check)
        return await self._roll_if_due()

    async def close(self) -> None:
        """Write what is gathered."""
        if self._is_anything_to_keep():
            await asyncio.to_thread(self._roll)

    async def _roll_if_due(self) -> Mapping[Partition, int]:
        age_s = asyncio.get_running_loop().time() - self._since_s
        if self._is_anything_to_keep() and (age_s >= self._every_s or self._bytes >= self._most_bytes):
            await asyncio.to_thread(self._roll)
        return dict(self._kept)

    def _is_anything_to_keep(self) -> bool:
        return self._reached != self._kept

    def _roll(self) -> None:
        """In a thread; a second one waits for the first, and then finds nothing to do."""
        with self._is_rolling:
            advanced = {partition: offset for partition, offset in self._reached.items() if offset != self._kept[partition]}
            if not advanced:
                return
            # What is gathered behind the offsets that were reached is of a batch that was not finished.
            whole = [row for row in self._rows if row.offset < self._reached[row.partition]]
            spans = {partition: (self._kept[partition], offset) for partition, offset in advanced.items()}
            self.files.roll(whole, spans, self._erasures)
            self._kept = dict(self._reached)
            self._clear()

    def _check(self) -> None:
        """Raises `StoreMoved` if the files do not end where we left them."""
        for partition, position in self.files.positions(self._kept).items():
            if position != self._kept[partition]:
                raise moved(self.files.folder, partition, position, self._kept[partition])

    def _clear(self) -> None:
        self._rows, self._erasures, self._bytes = [], [], 0
