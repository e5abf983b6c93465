"""`churnwatch evaluate`: a file through the whole pipeline as it would have run live, judged strictly forward in time.

Cut-offs every 7 days from the 28th day of the file; judged from day 42 and one horizon on, when something has matured,
while a whole horizon of data remains. Each judges everybody who can churn by what was seen before it.
"""

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Final

import msgspec
import numpy as np

from schemas.errors import ContractError
from schemas.events import AlertAction, AnyEvent, Event
from schemas.instants import DAY_MS, WEEK_MS, exact_ms, format_instant
from schemas.rules import Churn, RuleSet
from streams.evaluate_activity import Activity, activity_of
from streams.evaluate_alerts import LimitFound, RuleFound, rules_found, sweep
from streams.evaluate_bootstrap import Difference, auc_difference, drawn, loss_difference
from streams.evaluate_frames import BATCH, MODEL, Frame, Framer, frames_through
from streams.evaluate_walk import SNAPSHOT_EXAMPLES, Spent, Walk
from streams.import_progress import Advance, showing
from streams.replay import ReplayError, read_record

FIRST_CUT_DAYS: Final = 28
WARM_UP_DAYS: Final = 42
"""Before the first horizon begins that is judged by; with it, as much as a first fit needs."""
BREAK_EVEN: Final = 0.28
"""A contact for 5 that saves three of ten customers worth 60 pays above this probability: 5 / (.3 x 60)."""
_LINES_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Options:
    """What to evaluate, and how."""

    rules: RuleSet | None = None
    horizon: str | None = None
    """In place of the rules'."""
    from_ms: int | None = None
    until_ms: int | None = None
    """Only cut-offs in `[from, until)` are judged; the model learns from the beginning all the same."""
    active: str | None = None
    """Who showed a sign of life within it is active; by default the horizon."""
    break_even: float = BREAK_EVEN
    """The probability above which contacting a customer pays."""
    snapshot_examples: int = SNAPSHOT_EXAMPLES
    progress: bool = False


@dataclass(frozen=True, slots=True)
class Compared:
    """The model less the batch model, of all and of the active."""

    log_loss: tuple[Difference, Difference]
    auc: tuple[Difference, Difference]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that was found."""

    name: str
    rule_set: RuleSet
    activity: Activity
    horizon_ms: int
    active_ms: int
    break_even: float
    frames: list[Frame]
    rules: list[RuleFound]
    limits: list[LimitFound]
    compared: Compared | None
    """None: scikit-learn is not installed."""
    examples: int
    left_out: int
    """Records of the file that are no events of customers: ticks, documents, actions."""
    spent: Spent


def evaluate(path: Path, options: Options) -> Evaluation:
    """Evaluate a file of canonical JSON lines, or standard input if it is `-`.

    Raises:
        OSError: it cannot be read.
        ReplayError: a line breaks the contract, there is no event, or too little time in it for one cut-off.
    """
    rule_set = _with_horizon(options)
    churn = rule_set.churn or Churn()
    horizon_ms = exact_ms(churn.horizon)
    with _twice(path) as file, showing(options.progress) as advance:
        reading = _Reading(file, path.name)
        try:
            activity = activity_of(reading.events(advance, "reading"), churn)
        except ValueError as error:
            raise error if isinstance(error, ContractError) else ReplayError("no_value", f"{path.name}: {error}") from None
        cuts_ms = _cuts(activity, horizon_ms, options)
        walk = Walk(rule_set, snapshot_examples=options.snapshot_examples)
        framer = Framer(activity, horizon_ms, exact_ms(options.active or churn.horizon))
        stops = walk.through(reading.events(advance, "evaluating"), cuts_ms)
        frames = [frame for frame in frames_through(walk, framer, stops) if len(frame.codes)]
    if not frames:
        raise ReplayError("no_customer", f"{path.name}: nobody can churn at any of {len(cuts_ms)} cut-offs")
    # An alert is judged by a horizon too, so the last ones open when as much remains.
    latest_ms = (activity.last_event_ms // DAY_MS + 1) * DAY_MS - horizon_ms
    span_ms = (frames[0].cut_ms, max(min(frames[-1].cut_ms + WEEK_MS, latest_ms), frames[0].cut_ms + DAY_MS))
    return Evaluation(
        name=path.name,
        rule_set=rule_set,
        activity=activity,
        horizon_ms=horizon_ms,
        active_ms=framer.active_ms,
        break_even=options.break_even,
        frames=frames,
        rules=rules_found(walk.opened, rule_set, activity, span_ms, horizon_ms),
        limits=sweep(frames, options.break_even),
        compared=_compared(frames, activity) if framer.batch is not None else None,
        examples=len(walk.spent.learn_us),
        left_out=reading.left_out,
        spent=walk.spent,
    )


def _with_horizon(options: Options) -> RuleSet:
    rule_set = options.rules or RuleSet(version="evaluate", tenant="evaluate", churn=Churn())
    churn = rule_set.churn or Churn()
    if options.horizon is not None:
        churn = msgspec.structs.replace(churn, horizon=options.horizon)
    return msgspec.structs.replace(rule_set, churn=churn)


def _cuts(activity: Activity, horizon_ms: int, options: Options) -> list[int]:
    """The cut-offs that are judged; days are those of UTC."""
    first_ms = activity.first_event_ms // DAY_MS * DAY_MS
    end_ms = (activity.last_event_ms // DAY_MS + 1) * DAY_MS
    judged_ms = first_ms + WARM_UP_DAYS * DAY_MS + horizon_ms
    every = [
        at_ms for at_ms in range(first_ms + FIRST_CUT_DAYS * DAY_MS, end_ms - horizon_ms + 1, WEEK_MS) if at_ms >= judged_ms
    ]
    from_ms, until_ms = options.from_ms or 0, options.until_ms or end_ms
    chosen = [at_ms for at_ms in every if from_ms <= at_ms < until_ms]
    if not every:
        days = (end_ms - first_ms) // DAY_MS
        needed = WARM_UP_DAYS + 2 * horizon_ms / DAY_MS
        raise ReplayError("bad_time", f"the data spans {days} days; with this horizon {needed:g} are needed for one cut-off")
    if not chosen:
        raise ReplayError(
            "bad_time",
            f"no cut-off lies between --from and --until; there are some from {format_instant(every[0])} "
            f"to {format_instant(every[-1])}",
        )
    return chosen


def _compared(frames: list[Frame], activity: Activity) -> Compared:
    active = [frame.where(frame.active) for frame in frames]
    groups = [frames, [frame for frame in active if len(frame.codes)]]
    present = sorted({code for frame in frames for code in frame.codes.tolist()})
    weights = drawn(np.array(present, np.int64), len(activity.first_ms))
    log_loss = [loss_difference(group, MODEL, BATCH, weights) for group in groups]
    auc = [auc_difference(group, MODEL, BATCH, weights) for group in groups]
    return Compared((log_loss[0], log_loss[1]), (auc[0], auc[1]))


class _Reading:
    """Reads the file as often as it is asked to."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self._lines: int | None = None
        self.left_out = 0
        """Of the whole file, once it was read to its end."""

    def events(self, advance: Advance, what: str) -> Iterator[AnyEvent]:
        """The events of customers, in the order of the file."""
        self._file.seek(0)
        left_out = number = 0
        while some := list(islice(self._file, _LINES_AT_ONCE)):
            for line in some:
                number += 1
                if line.strip():
                    record, _ = read_record(line, self._name, number)
                    if isinstance(record, Event) and not isinstance(record, AlertAction):
                        yield record
                    else:
                        left_out += 1
            advance(what, len(some), self._lines)
        self._lines, self.left_out = number, left_out


@contextlib.contextmanager
def _twice(path: Path) -> Iterator[IO[bytes]]:
    """The file, or standard input in a temporary one: it is read twice, since a label lies ahead of its features."""
    if str(path) != "-":
        with path.open("rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        yield copy
