"""What the files of an archive hold, for tests."""

import shutil
from pathlib import Path
from typing import Any

import duckdb


def held(folder: Path, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    """The rows of a table, by partition and offset; none where there are no files."""
    if not list(folder.glob(f"{table}/*/*.parquet")):
        return []
    with duckdb.connect() as connection:
        found: list[tuple[Any, ...]] = connection.execute(
            f'SELECT {columns} FROM read_parquet($files, union_by_name = true) ORDER BY topic, "partition", "offset"',  # noqa: S608
            {"files": f"{folder}/{table}/*/*.parquet"},
        ).fetchall()
    return found


def offsets(folder: Path, table: str) -> list[tuple[int, int]]:
    """Partition and offset of each row."""
    return held(folder, table, '"partition", "offset"')


def bytes_of_all_files(folder: Path) -> bytes:
    """Everything that is on the disk, names apart."""
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def names(folder: Path, pattern: str) -> list[str]:
    """Of files anywhere below."""
    return sorted(file.name for file in folder.rglob(pattern))


def empty(folder: Path) -> None:
    """As somebody does who thinks that nobody needs it."""
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
