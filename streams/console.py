"""How the demonstration looks: a live table on a terminal, a line for each alert elsewhere; both on standard error."""

import contextlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from schemas.decisions import AlertRecord
from streams.words import minute, said

_SHOWN_STATES: Final = frozenset({"warned", "opened", "resolved", "retracted"})
_COLOURS: Final = {"warned": "yellow", "opened": "bold red", "resolved": "green", "retracted": "cyan"}
_ROWS: Final = 18
_FRAMES_A_SECOND: Final = 4


@dataclass
class Screen:
    """What is on it."""

    console: Console
    live: Live | None = None
    head: str = ""
    alerts: deque[AlertRecord] = field(default_factory=lambda: deque(maxlen=_ROWS))

    def show(self, alert: AlertRecord) -> None:
        """A transition; without a terminal only openings are worth a line."""
        if alert.state not in _SHOWN_STATES:
            return
        if self.live is not None:
            self.alerts.append(alert)
        elif alert.state == "opened":
            when, rule = minute(alert.at_ms), alert.rule.rpartition("@")[0]
            self.console.print(f"{when}  {_whom(alert)}  {rule}: {said(alert)}", markup=False, highlight=False, soft_wrap=True)

    def progress(self, head: str) -> None:
        """How far it is."""
        self.head = head
        if self.live is not None:
            self.live.update(self._frame())

    def note(self, text: str) -> None:
        """A line that stays."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _frame(self) -> Group:
        table = Table(expand=True, box=None, pad_edge=False, header_style="dim")
        for column, width in (("when", 16), ("customer", 12), ("rule", 16), ("state", 9)):
            table.add_column(column, width=width, no_wrap=True)
        table.add_column("because", ratio=1, no_wrap=True, overflow="ellipsis")
        for alert in self.alerts:
            state = Text(alert.state, style=_COLOURS[alert.state])
            table.add_row(minute(alert.at_ms), _whom(alert), alert.rule.rpartition("@")[0], state, Text(said(alert)))
        return Group(Text(self.head, style="bold"), table)


@contextlib.contextmanager
def screen() -> Iterator[Screen]:
    """A screen for as long as the block lasts."""
    console = Console(stderr=True)
    shown = Screen(console)
    if not console.is_terminal:
        yield shown
        return
    with Live(console=console, refresh_per_second=_FRAMES_A_SECOND, transient=True) as live:
        shown.live = live
        yield shown


def _whom(alert: AlertRecord) -> str:
    return alert.customer_id or f"feed {alert.feed}"
