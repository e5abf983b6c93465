"""The model that must be there: one learner reads all examples in one piece."""

from chaos.comparison import Kept, Verdict, by_content, compare_logs
from chaos.oracle import Found

from detectors.model import ChurnModel
from schemas.codec import decode_decision, encode
from schemas.decisions import ExampleRecord
from streams.model_store import MODEL, STATE_KEY
from streams.settings import Settings


def verdict_on_models(settings: Settings, found: Found) -> Verdict:
    """Every training state, byte for byte; a learner that died between writing one and saying so writes it again."""
    states = list(dict.fromkeys(row for row in found.of(settings, "models") if row.key == STATE_KEY))
    return compare_logs("models", expected_models(settings, found), states, by_content)


def expected_models(settings: Settings, found: Found) -> list[Kept]:
    """A state after each so many examples."""
    model = ChurnModel(MODEL, min_examples=settings.learn_min_examples, min_rarer=settings.learn_min_rarer_examples)
    states = []
    examples = zip(found.offsets.get((settings.topic("examples"), 0), []), found.of(settings, "examples"), strict=True)
    for number, (offset, row) in enumerate(examples, start=1):
        example = decode_decision(row.value or b"")
        assert isinstance(example, ExampleRecord)
        model.learn(example)
        if number % settings.learn_snapshot_examples == 0:
            states.append(Kept(STATE_KEY, encode(model.snapshot(offset + 1))))
    return states
