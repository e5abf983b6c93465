"""Files that appear whole or not at all."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def replaced(path: Path, *, remove: bool = False) -> Iterator[IO[bytes]]:
    """A file to write, which takes its name when the block ends well.

    Args:
        path: of the file; what was there is replaced.
        remove: take away what was there, in place of writing an empty file.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            yield file
        if remove:
            path.unlink(missing_ok=True)
        else:
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
