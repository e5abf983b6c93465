"""One table of the topics: how each is made, what stands in it, under which key, and who writes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas.instants import DAY_MS
from streams.settings import Topic

_COMPACT: Final = {"cleanup.policy": "compact"}
_DELETE: Final = {"cleanup.policy": "delete"}
_FOR_EVER: Final = {"retention.ms": "-1"}
_FOR_A_MONTH: Final = {"retention.ms": str(30 * DAY_MS)}
# What was redriven is read there: it must outlive its dead letter, which goes with a segment of up to a week.
_FOR_TWO_MONTHS: Final = {"retention.ms": str(60 * DAY_MS)}
# The broker's own time: what the clock reads, and what keeps records with old timestamps from expiring at once.
_BROKER_TIME: Final = {"message.timestamp.type": "LogAppendTime"}
_COMPACT_EARLY: Final = {"min.cleanable.dirty.ratio": "0.2"}
# The segment that is written to is never compacted: with the usual 1 GiB the clock would read weeks of heartbeats at a start.
_SMALL_SEGMENTS: Final = {"segment.bytes": str(16 << 20)}
_KEEP_STEPS_A_WEEK: Final = {"min.compaction.lag.ms": str(7 * DAY_MS)}


@dataclass(frozen=True)
class TopicForm:
    """How a topic is made, and what people are told of it."""

    configs: Mapping[str, str]
    key: str
    written_by: str
    says: str
    partitioned: bool = False
    """As many partitions as the log has; else one."""


TABLE: Final[Mapping[Topic, TopicForm]] = {
    "events": TopicForm(
        _DELETE | _FOR_EVER | _BROKER_TIME,
        key="customer, none for control records",
        written_by="ingest, clock",
        says="The log: events, ticks, documents.",
        partitioned=True,
    ),
    "control": TopicForm(
        _COMPACT | _BROKER_TIME,
        key="kind of document",
        written_by="`rules publish`, learn, `model rollback`, `model resume`",
        says="Rule sets and models; the last of each is in force.",
    ),
    "state": TopicForm(
        _COMPACT | _COMPACT_EARLY,
        key="part of the state",
        written_by="detect",
        says="The whole state of each partition.",
        partitioned=True,
    ),
    "alerts": TopicForm(
        _COMPACT | _KEEP_STEPS_A_WEEK,
        key="alert",
        written_by="detect",
        says="Transitions of alerts; all steps for a week, then the last of each alert.",
        partitioned=True,
    ),
    "shadow": TopicForm(
        _DELETE | _FOR_A_MONTH,
        key="alert",
        written_by="detect",
        says="The same of rules with `mode: shadow`.",
        partitioned=True,
    ),
    "risk": TopicForm(
        _COMPACT,
        key="customer",
        written_by="detect",
        says="Probability, band and reasons, with tier, owner and yearly value, when they change.",
        partitioned=True,
    ),
    "lifecycle": TopicForm(
        _COMPACT,
        key="customer",
        written_by="detect",
        says="Changes of stage: new, active, silent, high_risk, churned.",
        partitioned=True,
    ),
    "examples": TopicForm(
        _DELETE | _FOR_EVER,
        key="customer",
        written_by="detect",
        says="Matured training examples.",
    ),
    "erasures": TopicForm(
        _DELETE | _FOR_EVER,
        key="hash of a customer",
        written_by="detect",
        says="Proof of each erasure: when, how many alerts and examples; it names nobody.",
    ),
    "models": TopicForm(
        _COMPACT,
        key="model, version",
        written_by="learn, `model rollback`, `model resume`",
        says="The whole training state, the latest ten models as they were published, and which of them is held.",
    ),
    "progress": TopicForm(
        _COMPACT | _COMPACT_EARLY | _SMALL_SEGMENTS | _BROKER_TIME,
        key="feed, source partition",
        written_by="ingest, clock, `sources reset`",
        says=(
            "How far each source partition was read; the id and epoch of each source topic; what the clock has "
            "learned of the usual arrivals of each feed."
        ),
    ),
    "deadletters": TopicForm(
        _DELETE | _FOR_A_MONTH | _BROKER_TIME,
        key="source position",
        written_by="ingest, detect, deliver, `import`",
        says=(
            "What could not be used: original bytes; place, reason and (behind `source.`) the original's headers "
            "in the headers. Kept for a month."
        ),
    ),
    "redrive": TopicForm(
        _DELETE | _FOR_TWO_MONTHS | _BROKER_TIME,
        key="source position",
        written_by="`dlq redrive`",
        says=(
            "Dead letters that are to be read again. A source without a clock, kept for two months: longer than "
            "the letters, of which it says that they were redriven."
        ),
    ),
    "actions": TopicForm(
        _DELETE | _FOR_A_MONTH | _BROKER_TIME,
        key="customer",
        written_by="`ack` and its like, you",
        says=(
            "What people do with alerts, erasures, and whatever else you know of a customer, as events. A source "
            "without a clock: no rule waits for it."
        ),
    ),
    "deliveries": TopicForm(
        _COMPACT,
        key="recipient, alert",
        written_by="deliver, `storm release`, `storm drop`",
        says="What each recipient was told of each alert, what waits and why, and up to where it was told.",
    ),
}
SOURCE: Final = TopicForm(
    _DELETE | _FOR_A_MONTH | _BROKER_TIME,
    key="any",
    written_by="you",
    says="Events as they are, or records of any form that a mapping reads.",
    partitioned=True,
)
