"""What the engine costs: `replay` alone on one core, where its time goes, and what an idle customer takes in memory.

`python tests/benchmarks/bench_engine.py`. The mix is fixed: 70 % logins, 25 % orders, 5 % events of tickets, by two
thousand customers over thirty days, a tick each hour; six rules of different kinds, and a model that decides.
Time is that of the processor, so that other work on the machine disturbs little.
"""

import cProfile
import gc
import pstats
import random
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from statistics import median
from time import process_time

from detectors import customers as customer_records
from detectors import pending as pending_examples
from detectors.engine import PartitionEngine
from detectors.features import NAMES
from schemas.codec import decode_line, encode
from schemas.control import ModelPublished, RulesPublished, Tick
from schemas.events import AnyEvent, Category, LoginSucceeded, OrderPlaced, TicketOpened, TicketReplied, TicketResolved
from schemas.instants import DAY_MS, HOUR_MS
from schemas.models import ModelDocument, ModelQuality
from schemas.rule_kinds import AbsenceRule, CountRule, LevelRule, RhythmRule, ScoreRule, SlaRule, SlaTarget
from schemas.rules import Churn, RuleSet
from streams.replay import replay

EVENTS = 100_000
CUSTOMERS = 2_000
IDLE_CUSTOMERS = 5_000
EVENTS_OF_IDLE = 6
DAYS = 30
RUNS = 3
BEGINS_MS = 20_000 * DAY_MS
MINUTE_MS = 60_000
ROOT = Path(__file__).parents[2]

RULES = RuleSet(
    version="1",
    tenant="shop",
    churn=Churn(horizon="P30D"),
    rules=[
        AbsenceRule(id="no-order", version="1", of=["order.placed"], for_="P10D"),
        RhythmRule(id="out-of-rhythm", version="1", of=["login.*"], times=3.0, min_count=3),
        SlaRule(id="reply-4h", version="1", clock="first_response", warn_at=[0.5], targets=[SlaTarget(target="PT4H")]),
        CountRule(
            id="complaints", version="1", of=["ticket.opened"], where='event.category == "complaint"', at_least=2, within="P7D"
        ),
        LevelRule(id="small-order", version="1", of=["order.placed"], value="event.amount", below=10.0, clear_above=50.0),
        ScoreRule(id="high-risk", version="1", above=0.8, clear_below=0.6),
    ],
)


def model() -> ModelPublished:
    """A model that may decide; every feature has its say."""
    many = len(NAMES)
    document = ModelDocument(
        name="churn",
        features=list(NAMES),
        transform="signed_log",
        mean=[1.5] * many,
        scale=[1.0] * many,
        weights=[0.1 * (place % 5 - 2) for place in range(many)],
        intercept=-0.5,
        horizon_ms=30 * DAY_MS,
        usable=True,
        quality=ModelQuality(examples=1000, churned=200, log_loss=0.4, base_log_loss=0.5, auc=0.75),
        trained_until_offset=999,
        library="by hand",
    )
    return ModelPublished(at_ms=BEGINS_MS, version="m1", revision=1, document=document)


def history(events: int, customers: int, seed: int = 4) -> list[AnyEvent]:
    """Visits, by time: a login, and after a third of them an order some minutes later; apart from these the tickets."""
    draw = random.Random(seed)
    found: list[AnyEvent] = []
    for place in range(events * 70 // 100):
        who, at_ms = _anybody(draw, customers)
        found.append(LoginSucceeded(id=f"login-{place:08}", customer_id=who, at_ms=at_ms))
        if draw.random() < 25 / 70:
            name, amount = f"order-{place:08}", draw.randrange(500, 20_000) / 100
            at_ms += draw.randrange(1, 20) * MINUTE_MS
            found.append(OrderPlaced(id=name, customer_id=who, at_ms=at_ms, order_id=name, amount=amount))
    for place in range(events * 5 // 300):
        found += _ticket(draw, *_anybody(draw, customers), f"ticket-{place:08}")
    return sorted(found, key=lambda event: event.at_ms)


def _anybody(draw: random.Random, customers: int) -> tuple[str, int]:
    return f"customer-{draw.randrange(customers):06}", BEGINS_MS + draw.randrange(DAYS * DAY_MS)


def _ticket(draw: random.Random, who: str, at_ms: int, name: str) -> Iterator[AnyEvent]:
    """Opened; answered after three hours, and resolved after another twenty, in the mean."""
    categories: tuple[Category, ...] = ("complaint", "question")
    yield TicketOpened(id=f"{name}-o", customer_id=who, at_ms=at_ms, ticket_id=name, category=draw.choice(categories))
    at_ms += int(draw.expovariate(1 / (3 * HOUR_MS)))
    yield TicketReplied(id=f"{name}-a", customer_id=who, at_ms=at_ms, ticket_id=name, by="agent")
    at_ms += int(draw.expovariate(1 / (20 * HOUR_MS)))
    yield TicketResolved(id=f"{name}-r", customer_id=who, at_ms=at_ms, ticket_id=name)


def tell_speed(lines: list[bytes]) -> None:
    """Events per second."""
    found = []
    for _ in range(RUNS):
        gc.collect()
        began_s = process_time()
        alerts = sum(1 for _ in replay(lines, RULES))
        found.append(len(lines) / (process_time() - began_s))
    runs = ", ".join(f"{speed:,.0f}" for speed in found)
    say(f"{median(found):,.0f} events per second (runs: {runs}); {len(lines):,} lines, {alerts:,} alert records")


def tell_where(lines: list[bytes]) -> None:
    """The share of each module; what a module calls of the interpreter counts as its own."""
    profile = cProfile.Profile()
    profile.runcall(lambda: sum(1 for _ in replay(lines, RULES)))
    own_s: Counter[str] = Counter()
    # file, line and name of a function lead to its calls, its time, and both by caller
    for (file, _, _), (_, _, spent_s, _, callers) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        if file.startswith(str(ROOT)):
            own_s[str(Path(file).relative_to(ROOT))] += spent_s
        for (caller, _, _), (_, _, called_s, _) in callers.items():
            if not file.startswith(str(ROOT)) and caller.startswith(str(ROOT)):
                own_s[str(Path(caller).relative_to(ROOT))] += called_s
    total_s = sum(own_s.values())
    for name, spent_s in own_s.most_common(16):
        say(f"  {spent_s / total_s:6.1%}  {name}")


def tell_memory() -> None:
    """Bytes per customer once all of them are idle, by the module that holds them; pending examples apart."""
    customer_records.MAX_BUSY = 0  # type: ignore[misc]  # everybody is idle once their changes were taken
    engine, offsets = PartitionEngine(0), count()
    engine.apply(next(offsets), RulesPublished(at_ms=0, version="1", revision=1, document=RULES))
    engine.apply(next(offsets), model())
    lines = [encode(event) for event in history(IDLE_CUSTOMERS * EVENTS_OF_IDLE, IDLE_CUSTOMERS)]
    sizes: dict[str, int] = {}
    tick_ms = BEGINS_MS
    tracemalloc.start()
    for line in lines:
        record = decode_line(line)
        while record.at_ms >= tick_ms:
            sizes |= _ticked(engine, next(offsets), tick_ms)
            tick_ms += DAY_MS
        engine.apply(next(offsets), record)
    sizes |= _ticked(engine, next(offsets), tick_ms + DAY_MS)
    gc.collect()
    held = tracemalloc.take_snapshot().statistics("filename")
    tracemalloc.stop()
    apart = {__file__, pending_examples.__file__}
    known = [(one.traceback[0].filename, one.size / len(sizes)) for one in held]
    mine = [(file, size) for file, size in known if file.startswith(str(ROOT)) and file not in apart]
    say(f"{sum(size for _, size in mine):.0f} bytes per idle customer; {sum(sizes.values()) / len(sizes):.0f} in churn.state")
    for file, size in mine:
        if size >= 1:
            say(f"  {size:6.0f}  {Path(file).relative_to(ROOT)}")


def _ticked(engine: PartitionEngine, offset: int, at_ms: int) -> dict[str, int]:
    """The size of every customer that changed."""
    engine.apply(offset, Tick(at_ms=at_ms))
    changes = engine.take_changes()
    return {key.decode(): len(value or b"") for key, value in changes if key.startswith(customer_records.PREFIX)}


def say(text: str) -> None:
    """A line of the report."""
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    mix = [encode(model()), *(encode(event) for event in history(EVENTS, CUSTOMERS))]
    tell_speed(mix)
    tell_where(mix)
    tell_memory()
