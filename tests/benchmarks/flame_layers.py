"""Where the samples of a flame graph lie: each frame's own ones, added up by layer of the worker."""

import html
import re
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import Final

START: Final = "start: imports"
WAITING: Final = "waiting"
"""Samples of threads that were asleep: py-spy takes some of them for awake."""
OTHER: Final = "the rest"
_WAITS: Final = (
    "EpollSelector.select (selectors.py",
    "_PollLikeSelector.select (selectors.py",
    "Condition.wait (threading.py",
    "_worker (concurrent/futures/thread.py",
)
# A whole of its own: whatever it calls belongs to it.
_WHOLES: Final = (
    (START, "<frozen importlib._bootstrap"),
    ("a record decoded", "decode_record (schemas/codec.py"),
    ("engine: changed state to bytes", "PartitionEngine.take_changes (detectors/engine.py"),
    ("decisions to bytes", "decision_rows (streams/decision_rows.py"),
    ("metrics, which the benchmark asks for", "socketserver.py"),
)
# The nearest frame that is known decides.
_LAYERS: Final = (
    ("engine: rules, features, timers", "(detectors/"),
    ("transactions", "(streams/transactions.py"),
    ("transactions", "(aiokafka/producer/"),
    ("the log read", "(streams/fetching.py"),
    ("the log read", "(streams/transport.py"),
    ("the log read", "(aiokafka/consumer/"),
    ("group and connections", "(aiokafka/"),
    ("owners of partitions", "(streams/"),
    ("Faust", "(faust/"),
    ("Faust", "(mode/"),
    ("event loop", "(asyncio/"),
    ("event loop", "(selectors.py"),
)
_FRAME: Final = re.compile(
    r"<title>(?P<name>[^<]*) \((?P<samples>[\d,]+) samples?, [^)]*\)</title>"
    r'<rect [^>]*\by="(?P<y>\d+)"[^>]*\bfg:x="(?P<x>\d+)" fg:w="(?P<w>\d+)"'
)


@dataclass(frozen=True)
class _Frame:
    """A box of the picture: so many samples from `x` on, `y` below the top."""

    y: int
    x: int
    samples: int
    name: str


def samples_by_layer(svg: str) -> Counter[str]:
    """The samples of a flame graph that py-spy has drawn, by layer.

    Raises:
        ValueError: there is no frame in it.
    """
    frames = sorted(
        (
            _Frame(int(found["y"]), int(found["x"]), int(found["w"]), html.unescape(found["name"]))
            for found in _FRAME.finditer(svg)
        ),
        key=lambda frame: (frame.y, frame.x),
    )
    if not frames:
        raise ValueError("there is no frame in the picture")
    found: Counter[str] = Counter()
    above: list[tuple[_Frame, str]] = []
    for _, row in groupby(frames, key=lambda frame: frame.y):
        below = []
        for frame in row:
            parent = _parent(above, frame)
            layer = _layer(frame.name, parent)
            found[layer] += frame.samples
            if parent is not None:
                found[parent] -= frame.samples  # they are the child's, not its own
            below.append((frame, layer))
        above = below
    return found


def _parent(above: list[tuple[_Frame, str]], frame: _Frame) -> str | None:
    place = bisect_right(above, frame.x, key=lambda one: one[0].x)
    return above[place - 1][1] if place else None


def _layer(name: str, parent: str | None) -> str:
    if any(mark in name for mark in _WAITS):
        return WAITING
    if any(parent == whole for whole, _ in _WHOLES):
        return str(parent)
    return next((layer for layer, mark in (*_WHOLES, *_LAYERS) if mark in name), parent or OTHER)
