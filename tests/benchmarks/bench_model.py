"""What the model costs: a matured example judged and learned, a score, a snapshot, a pending example.

`make bench-model`. Examples are those of a shop of the benchmarks' mix with a horizon of a week, as the engine releases them;
how well the model predicts is told by `make evaluate`.
"""

from collections.abc import Callable, Sequence
from statistics import fmean, median
from time import perf_counter
from typing import TypeVar

import msgspec
from benchmarks.figures import parser, report, say
from benchmarks.mix import BEGINS_MS, DAYS, RULES, history
from river.preprocessing import StandardScaler

from detectors.engine import PartitionEngine
from detectors.model import ChurnModel
from detectors.pending import PREFIX
from detectors.recipe import CLIP
from detectors.scaler import Scaler
from detectors.scoring import Scorer
from detectors.standardising import signed_logs
from schemas.codec import encode
from schemas.control import RulesPublished, Tick
from schemas.decisions import ExampleRecord
from schemas.instants import DAY_MS
from schemas.rules import Churn

EVENTS = 40_000
CUSTOMERS = 4_000
Thing = TypeVar("Thing")


def main() -> None:
    """Measure, tell, keep."""
    options = parser(__doc__, runs=3).parse_args()
    examples, sizes = released()
    say(f"{len(examples)} examples")
    runs: dict[str, list[float]] = {"model_pending_bytes": [fmean(sizes)], "model_pending_most_bytes": [max(sizes)]}
    for _ in range(options.runs):
        for name, value in measure(examples).items():
            runs.setdefault(name, []).append(value)
    report("model", options, runs)


def released() -> tuple[list[ExampleRecord], list[int]]:
    """What the engine releases, and the bytes of each example while it was pending, with its key."""
    rules = msgspec.structs.replace(RULES, churn=Churn(horizon="P7D"))
    engine, examples, sizes = PartitionEngine(0), [], []
    engine.apply(0, RulesPublished(at_ms=0, version=rules.version, revision=1, document=rules))
    events = iter(history(EVENTS, CUSTOMERS))
    event = next(events, None)
    for day in range(DAYS + 1):
        at_ms = BEGINS_MS + day * DAY_MS
        while event is not None and event.at_ms < at_ms:
            engine.apply(engine.position + 1, event)
            event = next(events, None)
        examples += engine.apply(engine.position + 1, Tick(at_ms=at_ms)).examples
        changes = engine.take_changes()
        sizes += [len(key) + len(value) for key, value in changes if key.startswith(PREFIX) and value is not None]
    return examples, sizes


def measure(examples: list[ExampleRecord]) -> dict[str, float]:
    """Microseconds."""
    model = ChurnModel()
    learned = timed(examples, model.learn)
    scorer = Scorer.of(model.document(0), "v")
    vectors = [tuple(example.features) for example in examples]
    began_s = perf_counter()
    snapshot = encode(model.snapshot(0))
    spent_ms = (perf_counter() - began_s) * 1e3
    return {
        "model_learn_us": median(learned),
        "model_learn_mean_us": fmean(learned),
        "model_predict_us": median(timed(vectors, scorer.probability)),
        **scalers([list(signed_logs(vector)) for vector in vectors], examples[0].names),
        "model_snapshot_ms": spent_ms,
        "model_snapshot_bytes": float(len(snapshot)),
    }


def scalers(inputs: list[list[float]], names: Sequence[str]) -> dict[str, float]:
    """Ours and River's, each told of an example and then asked what it looks like."""
    ours, theirs = Scaler(len(names), CLIP), StandardScaler()

    def with_ours(values: list[float]) -> None:
        ours.learn(values)
        ours.z(values)

    def with_theirs(values: dict[str, float]) -> None:
        theirs.learn_one(values)
        theirs.transform_one(values)

    named = [dict(zip(names, values, strict=True)) for values in inputs]
    return {
        "model_scaler_us": median(timed(inputs, with_ours)),
        "model_scaler_river_us": median(timed(named, with_theirs)),
    }


def timed(things: Sequence[Thing], what: Callable[[Thing], object]) -> list[float]:
    """How long each took."""
    found = []
    for thing in things:
        began_s = perf_counter()
        what(thing)
        found.append((perf_counter() - began_s) * 1e6)
    return found


if __name__ == "__main__":
    main()
