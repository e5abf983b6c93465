"""The topics: creating what is missing, and the check that what exists agrees with the table."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from streams.kafka_security import kafka_python_options
from streams.settings import Settings
from streams.topic_table import SOURCE, TABLE, TopicForm

DEFAULT_SOURCES: Final = ("orders", "logins", "tickets")
"""Source topics when no file lists others; `Settings.source_prefix` stands before them."""

MAX_VALUE_BYTES: Final = 900_000
"""Of a source record, and of an event as it is written: with its frame it fits into a topic with the usual limit of 1 MiB.

A longer value of a dead letter is cut; then its length and digest stand in the headers.
"""

# What makes another topic of it. The rest, like a retention, is the operator's to change.
_FIXED_CONFIGS: Final[Mapping[str, str]] = {"cleanup.policy": "delete", "message.timestamp.type": "CreateTime"}

_BOOTSTRAP_TIMEOUT_MS: Final = 5_000


class TopicsError(RuntimeError):
    """Topics are missing or are not as they must be; the message has one line for each."""


@dataclass(frozen=True)
class TopicSpec:
    """A topic as it must be."""

    name: str
    partitions: int
    configs: Mapping[str, str]
    ours: bool
    """A source topic is somebody else's: it must exist, and may have any form."""


def topic_specs(settings: Settings, sources: Iterable[str] | None = None) -> list[TopicSpec]:
    """Every topic of an installation, ours first.

    Args:
        settings: prefix and sizes.
        sources: full names of the source topics; the default ones if left out.
    """
    if sources is None:
        sources = default_sources(settings)
    safety = {"min.insync.replicas": "2"} if settings.replication > 2 else {}
    ours = [_spec(settings, settings.topic(name), form, safety, ours=True) for name, form in TABLE.items()]
    known = {spec.name for spec in ours}
    return ours + [_spec(settings, name, SOURCE, safety, ours=False) for name in sources if name not in known]


def default_sources(settings: Settings) -> list[str]:
    """Full names of the source topics that are read when no file lists others."""
    return [settings.source_prefix + name for name in DEFAULT_SOURCES]


def ensure_topics(settings: Settings, sources: Iterable[str] | None = None) -> list[str]:
    """Create what is missing, check what is there; returns the names created.

    Raises:
        TopicsError: a topic has another number of partitions or another policy than it must have. Nothing was created.
        kafka.errors.KafkaError: the broker does not answer, or refuses.
    """
    specs = topic_specs(settings, sources)
    with admin_of(settings) as admin:
        missing = _checked(admin, specs)
        if missing:
            admin.create_topics(
                {
                    spec.name: {
                        "num_partitions": spec.partitions,
                        "replication_factor": settings.replication,
                        "configs": dict(spec.configs),
                    }
                    for spec in missing
                },
                wait_for_metadata=True,
            )
    return [spec.name for spec in missing]


def check_topics(settings: Settings, sources: Iterable[str] | None = None) -> None:
    """Check that every topic exists as it must; a worker does so before it starts.

    Raises:
        TopicsError: one line for each that is missing or different.
        kafka.errors.KafkaError: the broker does not answer.
    """
    with admin_of(settings) as admin:
        missing = _checked(admin, topic_specs(settings, sources))
    if missing:
        raise TopicsError(
            "\n".join(f"the topic {spec.name} does not exist: `churnwatch topics` creates it" for spec in missing)
        )


def partition_count(settings: Settings, topic: str) -> int | None:
    """How many partitions a topic has; None if there is no such topic.

    Raises:
        kafka.errors.KafkaError: the broker does not answer.
    """
    with admin_of(settings) as admin:
        if topic not in admin.list_topics():
            return None
        return len(admin.describe_topics([topic])[0]["partitions"])


def _spec(settings: Settings, name: str, form: TopicForm, safety: Mapping[str, str], *, ours: bool) -> TopicSpec:
    return TopicSpec(name, settings.partitions if form.partitioned else 1, {**form.configs, **safety}, ours)


@contextlib.contextmanager
def admin_of(settings: Settings) -> Iterator[Any]:
    """An administrator's client for as long as the block lasts.

    Raises:
        kafka.errors.KafkaError: the broker does not answer.
    """
    admin = KafkaAdminClient(
        bootstrap_servers=settings.bootstrap.split(","),
        client_id=settings.prefix + "topics",
        bootstrap_timeout_ms=_BOOTSTRAP_TIMEOUT_MS,
        **kafka_python_options(settings),
    )
    try:
        yield admin
    finally:
        admin.close()


def _checked(admin: Any, specs: list[TopicSpec]) -> list[TopicSpec]:  # noqa: ANN401 - kafka-python has no types
    """The specs of topics that do not exist.

    Raises:
        TopicsError: one that exists is different.
    """
    names = set(admin.list_topics())
    present = [spec for spec in specs if spec.ours and spec.name in names]
    faults = _faults(admin, present) if present else []
    if faults:
        raise TopicsError("\n".join(faults))
    return [spec for spec in specs if spec.name not in names]


def _faults(admin: Any, present: list[TopicSpec]) -> list[str]:  # noqa: ANN401
    counts = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics([spec.name for spec in present])}
    resources = [ConfigResource(ConfigResourceType.TOPIC, spec.name) for spec in present]
    configs = admin.describe_configs(resources, config_filter="all")["topic"]
    return [
        *(
            f"the topic {spec.name} has {counts[spec.name]} partitions and must have {spec.partitions}: the number is fixed "
            "for life, because customers are bound to partitions by it (CHURN_PARTITIONS, or another CHURN_PREFIX)"
            for spec in present
            if counts[spec.name] != spec.partitions
        ),
        *(
            f"the topic {spec.name} cannot be checked: the right DESCRIBE_CONFIGS on it is missing"
            for spec in present
            if not configs[spec.name]
        ),
        *(
            f"the topic {spec.name} has {config}={found} and must have {config}={wanted}"
            for spec in present
            if configs[spec.name]
            for config, default in _FIXED_CONFIGS.items()
            if (found := configs[spec.name][config]["value"]) != (wanted := spec.configs.get(config, default))
        ),
    ]
