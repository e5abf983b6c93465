"""The settings a topic may have: Kafka's names and defaults. The broker acts on five of them, and stores the rest."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from streams.devbroker.errors import ErrorCode, Refused

_NO_LIMIT: Final = str(2**63 - 1)

DEFAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cleanup.policy": "delete",
        "compression.gzip.level": "-1",
        "compression.lz4.level": "9",
        "compression.type": "producer",
        "compression.zstd.level": "3",
        "delete.retention.ms": "86400000",
        "file.delete.delay.ms": "60000",
        "flush.messages": _NO_LIMIT,
        "flush.ms": _NO_LIMIT,
        "follower.replication.throttled.replicas": "",
        "index.interval.bytes": "4096",
        "leader.replication.throttled.replicas": "",
        "local.retention.bytes": "-2",
        "local.retention.ms": "-2",
        "max.compaction.lag.ms": _NO_LIMIT,
        "max.message.bytes": "1048588",
        "message.timestamp.after.max.ms": "3600000",
        "message.timestamp.before.max.ms": _NO_LIMIT,
        "message.timestamp.type": "CreateTime",
        "min.cleanable.dirty.ratio": "0.5",
        "min.compaction.lag.ms": "0",
        "min.insync.replicas": "1",
        "preallocate": "false",
        "remote.log.copy.disable": "false",
        "remote.log.delete.on.disable": "false",
        "remote.storage.enable": "false",
        "retention.bytes": "-1",
        "retention.ms": "604800000",
        "segment.bytes": "1073741824",
        "segment.index.bytes": "10485760",
        "segment.jitter.ms": "0",
        "segment.ms": "604800000",
        "unclean.leader.election.enable": "false",
    }
)

_CHOICES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "cleanup.policy": frozenset({"delete", "compact", "delete,compact", "compact,delete", ""}),
        "compression.type": frozenset({"producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"}),
        "message.timestamp.type": frozenset({"CreateTime", "LogAppendTime"}),
    }
)


@dataclass(frozen=True)
class TopicConfig:
    """The settings of one topic: `overrides` are those that differ from Kafka's defaults."""

    overrides: Mapping[str, str]

    @classmethod
    def checked(cls, overrides: Mapping[str, str]) -> "TopicConfig":
        """A config whose names and values Kafka would take.

        >>> TopicConfig.checked({"max.message.bytes": "2000"}).max_message_bytes
        2000

        Raises:
            Refused: an unknown name, or a value that is not allowed.
        """
        for name, value in overrides.items():
            if name not in DEFAULTS:
                raise Refused(ErrorCode.INVALID_CONFIG, f"unknown topic config name: {name}")
            if not _allowed(name, value):
                raise Refused(ErrorCode.INVALID_CONFIG, f"invalid value {value!r} for configuration {name}")
        return cls(MappingProxyType(dict(overrides)))

    def all_values(self) -> dict[str, str]:
        """Every setting by name, sorted."""
        return dict(sorted({**DEFAULTS, **self.overrides}.items()))

    @property
    def log_append_time(self) -> bool:
        """Whether the broker's time replaces the producer's timestamps."""
        return self._value("message.timestamp.type") == "LogAppendTime"

    @property
    def max_message_bytes(self) -> int:
        """The largest batch taken, its header counted."""
        return int(self._value("max.message.bytes"))

    @property
    def timestamp_after_max_ms(self) -> int:
        """How far in the future a producer's timestamp may be."""
        return int(self._value("message.timestamp.after.max.ms"))

    def _value(self, name: str) -> str:
        return self.overrides.get(name, DEFAULTS[name])


def _allowed(name: str, value: str) -> bool:
    if name in _CHOICES:
        return value.replace(" ", "") in _CHOICES[name]
    default = DEFAULTS[name]
    if default in {"true", "false"}:
        return value.lower() in {"true", "false"}
    return not default.lstrip("-").isdigit() or value.lstrip("-").isdigit()
