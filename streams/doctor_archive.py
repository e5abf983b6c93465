"""What `churnwatch doctor` says of the archive."""

import importlib.util
import os
from collections.abc import Iterator
from typing import Final

from streams.finding import Finding
from streams.settings import Settings, variable

_LEAST_SHARE: Final = 0.05


def archive_findings(settings: Settings) -> Iterator[Finding]:
    """Whether it can be written to, and has room."""
    if settings.archive is None:
        yield _found(f"{variable('archive')} is not set: there is no archive")
        return
    folder = settings.archive
    if importlib.util.find_spec("duckdb") is None:
        yield _found(f"{folder} needs DuckDB: pip install 'churnwatch[parquet]'", good=False)
    if not folder.is_dir():
        yield _found(f"there is no folder {folder}: make it, or mount what should be there", good=False)
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield _found(f"{folder} may not be written to: let user {os.getuid()} write there", good=False)
    else:
        disk = os.statvfs(folder)
        says, has_room = (
            f"{disk.f_bavail * disk.f_frsize >> 20} MiB are left for {folder}",
            disk.f_bavail >= disk.f_blocks * _LEAST_SHARE,
        )
        yield _found(
            says if has_room else f"{says}, which is less than {_LEAST_SHARE:.0%} of the disk: make room", good=has_room
        )


def _found(says: str, *, good: bool = True) -> Finding:
    return Finding("archive", good=good, says=says)
