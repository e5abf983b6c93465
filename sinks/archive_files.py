"""The files of the archive: Parquet written by DuckDB, each of them whole or not there.

    alerts/day=2026-01-05/churn.alerts-3-00000000000000000120-00000000000000000480.parquet
    risk/day=2026-01-05/churn.risk-3-...
    lifecycle/day=2026-01-05/...
    positions/churn.alerts-3        the offset behind what is in files

A roll writes, for each partition, one file a day; all of them have the first and the last offset of the roll in their names.
The position comes last: what was written before a crash and has no position yet is deleted, and written once more.
"""

import contextlib
import fcntl
import itertools
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np

from sinks.archive_rows import COLUMNS, Erasure, Row, Type
from sinks.base import SinkError
from sinks.stores import Partition, StoreMoved

_SUFFIX: Final = ".parquet"
_UNFINISHED: Final = ".unfinished"
_NAME: Final = re.compile(rf"(?P<topic>.+)-(?P<partition>\d+)-(?P<first>\d{{20}})-(?P<last>\d{{20}}){re.escape(_SUFFIX)}")
_MEMORY: Final = "512MB"
_KEPT: Final = """
CREATE OR REPLACE TABLE kept AS SELECT * FROM read_parquet($file, hive_partitioning = false) AS held WHERE NOT EXISTS (
  SELECT 1 FROM erasures WHERE customer = held.customer_id
  AND (epoch_ms(held."at") <= until_ms OR (place = held.topic || '/' || held."partition" AND held."offset" < behind)))
"""
Rolled = Mapping[Partition, tuple[int, int]]
"""Of each partition the offset that a roll begins at, and the one behind it."""


class ArchiveFiles:
    """One folder, on one file system, which all workers of the role see.

    Every method raises `SinkError` where the file system does not do its part: what was kept before is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def positions(self, partitions: Collection[Partition]) -> dict[Partition, int | None]:
        """Up to where partitions are in files; None: nothing says so."""
        with self._told("cannot be read"):
            return {partition: self._position(partition) for partition in partitions}

    def open(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """The same to begin with, 0 for one that is new; what an unfinished roll left of them is deleted."""
        with self._told("cannot be written to"), self._locked():
            found = {partition: self._position(partition) for partition in partitions}
            for partition, position in found.items():
                if position is None:
                    self._keep_position(partition, 0)
            self._delete_unfinished({partition: position or 0 for partition, position in found.items()})
        return {partition: position or 0 for partition, position in found.items()}

    def roll(self, rows: Sequence[Row], rolled: Rolled, erasures: Sequence[Erasure]) -> None:
        """Write rows to files, take the customers of the erasures out of all others, and keep the positions.

        Done once more, it changes nothing.

        Raises:
            StoreMoved: somebody else has written, or the files are gone.
            SinkError: not all of it was written; it may be done once more.
        """
        files: defaultdict[Path, list[Row]] = defaultdict(list)
        for row in rows:
            if not any(one.reaches(row) for one in erasures):
                files[self._file_of(row, rolled)].append(row)
        with self._told("cannot be written to"), self._locked(), _connection() as connection:
            self._check(rolled)
            for file in sorted(files):
                self._write(connection, file, files[file])
            if erasures:
                self._erase(connection, erasures)
            for partition, (_, behind) in rolled.items():
                self._keep_position(partition, behind)

    def _check(self, rolled: Rolled) -> None:
        for partition, (first, behind) in rolled.items():
            if (position := self._position(partition)) not in {first, behind}:  # there already: it is done once more
                raise moved(self.folder, partition, position, first)

    def _file_of(self, row: Row, rolled: Rolled) -> Path:
        first, behind = rolled[row.partition]
        topic, _, number = row.partition.rpartition("/")
        name = f"{topic}-{number}-{first:020}-{behind - 1:020}{_SUFFIX}"
        return self.folder / row.table / f"day={row.day}" / name

    # -- positions

    def _position(self, partition: Partition) -> int | None:
        try:
            return int(self._position_file(partition).read_text("ascii"))
        except (FileNotFoundError, ValueError):  # an empty one was cut off: everything is read again
            return None

    def _keep_position(self, partition: Partition, offset: int) -> None:
        with self._appearing(self._position_file(partition)) as unfinished:
            unfinished.write_text(f"{offset}\n", "ascii")

    def _position_file(self, partition: Partition) -> Path:
        topic, _, number = partition.rpartition("/")
        return self.folder / "positions" / f"{topic}-{number}"

    # -- what goes

    def _delete_unfinished(self, positions: Mapping[Partition, int]) -> None:
        """Files behind the positions of these partitions, and what no file became of."""
        for file in self.folder.glob("*/day=*/*"):
            named = _NAME.fullmatch(file.name.removesuffix(_UNFINISHED))
            position = positions.get(f"{named['topic']}/{named['partition']}") if named else None
            if named and position is not None and (file.name.endswith(_UNFINISHED) or int(named["first"]) >= position):
                file.unlink()

    def _erase(self, connection: Any, erasures: Sequence[Erasure]) -> None:  # noqa: ANN401 - DuckDB has no types
        """Customers keep to one number of a partition in all topics, so only its files can have them."""
        by_number: defaultdict[str, list[Erasure]] = defaultdict(list)
        for one in erasures:
            by_number[one.partition.rpartition("/")[2]].append(one)
        for table in COLUMNS:
            for number, some in by_number.items():
                files = [
                    file
                    for file in sorted(self.folder.glob(f"{table}/day=*/*{_SUFFIX}"))
                    if (named := _NAME.fullmatch(file.name)) and named["partition"] == number
                ]
                for file in _files_with(connection, files, some):
                    self._rewrite(connection, file, some)

    # -- the file system

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One at a time, of all processes: two that rewrite a file would undo each other.

        The folder itself is not made: where it is missing, something was not mounted.
        """
        with (self.folder / ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, duckdb.Error) as error:
            says = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
            raise SinkError(f"the archive {self.folder} {what}: {says}{self._room()}", retryable=True) from error

    def _room(self) -> str:
        with contextlib.suppress(OSError):
            found = os.statvfs(self.folder)
            if found.f_blocks and found.f_bavail * 100 < found.f_blocks:
                return f" ({found.f_bavail * found.f_frsize >> 10} KiB are left: make room; records wait until then)"
        return ""

    @contextlib.contextmanager
    def _appearing(self, file: Path) -> Iterator[Path]:
        """A name to write to; what was written is on the disk, and has its own name, when the block ends well."""
        unfinished = file.with_name(file.name + _UNFINISHED)
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield unfinished
            _sync(unfinished)
            unfinished.replace(file)
            for folder in itertools.takewhile(lambda folder: folder != self.folder.parent, file.parents):
                _sync(folder)
        finally:
            unfinished.unlink(missing_ok=True)

    def _write(self, connection: Any, file: Path, rows: Sequence[Row]) -> None:  # noqa: ANN401
        columns = COLUMNS[rows[0].table]
        values = zip(*(row.values for row in rows), strict=True)
        connection.register("rows", {name: _array(some) for name, some in zip(columns, values, strict=True)})
        chosen = ", ".join(f"{_value(name, of_type)} AS {_quoted(name)}" for name, of_type in columns.items())
        with self._appearing(file) as unfinished:
            _copy(connection, f"SELECT {chosen} FROM rows", unfinished)  # noqa: S608 - our own names
        connection.unregister("rows")

    def _rewrite(self, connection: Any, file: Path, erasures: Sequence[Erasure]) -> None:  # noqa: ANN401
        """Without the rows that the erasures reach; a file without rows goes."""
        connection.execute("CREATE OR REPLACE TABLE erasures (customer VARCHAR, until_ms BIGINT, place VARCHAR, behind BIGINT)")
        connection.executemany("INSERT INTO erasures VALUES (?, ?, ?, ?)", [list(one) for one in erasures])
        connection.execute(_KEPT, {"file": str(file)})
        (left,) = connection.execute("SELECT count(*) FROM kept").fetchone()
        if left:
            with self._appearing(file) as unfinished:
                _copy(connection, "SELECT * FROM kept", unfinished)
        else:
            file.unlink()
            _sync(file.parent)
        connection.execute("DROP TABLE kept")


def moved(folder: Path, partition: Partition, found: int | None, left: int) -> StoreMoved:
    """What is to be said of files that do not end where they were left."""
    return StoreMoved(f"the archive {folder}: {partition} is at {'nothing' if found is None else found}, not at {left}")


@contextlib.contextmanager
def _connection() -> Iterator[Any]:
    """DuckDB in memory, on one core; it puts nothing aside on any disk."""
    with duckdb.connect(config={"threads": 1, "memory_limit": _MEMORY, "temp_directory": ""}) as connection:
        yield connection


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _quoted(name: str) -> str:
    return f'"{name}"'


def _value(name: str, of_type: Type) -> str:
    quoted = _quoted(name)
    return f"make_timestamp_ms({quoted}::BIGINT)::TIMESTAMP_MS" if of_type == "TIMESTAMP_MS" else f"{quoted}::{of_type}"


def _array(values: Sequence[Any]) -> Any:  # noqa: ANN401 - an array of whatever there is
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _files_with(connection: Any, files: Sequence[Path], erasures: Sequence[Erasure]) -> list[Path]:  # noqa: ANN401
    """Those that have a row of one of these customers."""
    if not files:
        return []
    found = connection.execute(
        "SELECT DISTINCT filename FROM read_parquet($files, filename = true, hive_partitioning = false, union_by_name = true) "
        "WHERE customer_id IN (SELECT unnest($customers))",
        {"files": [str(file) for file in files], "customers": sorted({one.customer_id for one in erasures})},
    )
    return [Path(name) for (name,) in found.fetchall()]


def _copy(connection: Any, selection: str, file: Path) -> None:  # noqa: ANN401
    quoted = str(file).replace("'", "''")
    ordered = f'{selection} ORDER BY customer_id, "offset"'
    connection.execute(f"COPY ({ordered}) TO '{quoted}' (FORMAT parquet, COMPRESSION zstd)")
