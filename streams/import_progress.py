"""The bar that an import shows on standard error."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

Advance = Callable[[str, int, int | None], None]
"""Told what is being done, how many more are done, and of how many, if that is known."""


@contextlib.contextmanager
def showing(wanted: bool) -> Iterator[Advance]:  # noqa: FBT001 - the option of the command
    """A bar for each thing that is done, or none."""
    if not wanted:
        yield lambda _what, _more, _total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def advance(what: str, more: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.advance(tasks[what], more)

        yield advance
