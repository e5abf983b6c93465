"""Every dashboard by the name of its file."""

from collections.abc import Callable, Mapping
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from boards import alerts, customers, management, operations

BOARDS: Final[Mapping[str, Callable[[], Dashboard]]] = {
    "operations": operations.board,
    "alerts": alerts.board,
    "customers": customers.board,
    "management": management.board,
}


def as_json(name: str) -> str:
    """A dashboard as Grafana imports it; the same text each time."""
    board = BOARDS[name]().build()
    for number, panel in enumerate(board.panels or [], 1):
        panel.id_val = number
    return JSONEncoder(sort_keys=True, indent=2).encode(board) + "\n"
