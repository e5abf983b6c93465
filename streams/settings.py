"""The settings: environment variables that begin with `CHURN_`, read once, frozen, all faults told at once."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX: Final = "CHURN_"
_USER_INFO: Final = re.compile(r"://[^/]*@|(?<=password=)[^&]*")

Role = Literal["ingest", "detect", "learn", "clock", "deliver", "door"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

Topic = Literal[
    "events",
    "control",
    "state",
    "alerts",
    "shadow",
    "risk",
    "lifecycle",
    "examples",
    "erasures",
    "models",
    "progress",
    "deadletters",
    "redrive",
    "actions",
    "deliveries",
]
"""The topics of churnwatch itself, without the prefix; streams.topics says how each is made."""

_Servers = Annotated[str, Field(pattern=r"^[^\s:,]+:\d{1,5}(,[^\s:,]+:\d{1,5})*$")]
_TopicPrefix = Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]*$", max_length=100)]
_PositiveMs = Annotated[int, Field(ge=1)]
_NonNegativeMs = Annotated[int, Field(ge=0)]


class SettingsError(ValueError):
    """The environment does not make settings; the message has one line for every fault."""


class Settings(BaseSettings):
    """Everything that a deployment may choose. What changes a decision is not here: it stands in the rules file."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore")

    bootstrap: _Servers = Field("127.0.0.1:9092", description="Kafka brokers to begin with, `host:port` with commas between.")
    kafka_security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = Field(
        "plaintext", description="How the brokers are reached: with TLS (`ssl`), with a user (`sasl`), or both."
    )
    kafka_ca: Path | None = Field(None, description="Certificates (PEM) that the brokers' are checked by; else the system's.")
    kafka_certificate: Path | None = Field(None, description="Our own certificate (PEM), where the brokers want one.")
    kafka_key: Path | None = Field(None, description="The key of that certificate (PEM), unless it is in the same file.")
    kafka_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        "", description="How the user is proved with `sasl`: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER."
    )
    kafka_user: str = Field("", description="The user; with OAUTHBEARER the client id.")
    kafka_password: str = Field(
        "", description="Where the password stands, `env:NAME` or `file:PATH`; with OAUTHBEARER the client's secret."
    )
    kafka_token_url: str = Field(
        "", pattern=r"^(https?://\S+)?$", description="Token endpoint of OAUTHBEARER (client credentials)."
    )
    kafka_token_scope: str = Field("", description="Scope that is asked for there.")
    kafka_token_file: Path | None = Field(
        None, description="In place of the endpoint: a file with a token that somebody renews."
    )
    prefix: _TopicPrefix = Field(
        "churn.", min_length=1, description="Begins the name of every topic, consumer group and transactional id."
    )
    source_prefix: _TopicPrefix = Field("", description="Put before the names of the default source topics.")
    partitions: int = Field(
        4,
        ge=1,
        le=10_000,
        description="Partitions of the log and of what detect writes; fixed for life.",
    )
    replication: int = Field(1, ge=1, le=100, description="Copies of each topic; 3 in production.")
    redis_url: str = Field(
        "",
        pattern=r"^((rediss?|unix)://\S+)?$",
        description="Where the read model is kept, redis:// or rediss:// (TLS) or unix://; without it there is none.",
    )
    redis_user: str = Field("", description="User at Redis, if it has users.")
    redis_password: str = Field(
        "", description="Where the password for Redis stands, `env:NAME` or `file:PATH`: never the password itself."
    )
    redis_ca: Path | None = Field(
        None, description="File of the certificates that Redis's must be signed by, in PEM; without it those of the system."
    )
    archive: Path | None = Field(
        None, description="Folder, there already, for Parquet files of all alerts, risks and stages; without it there are none."
    )
    archive_every_ms: _PositiveMs = Field(900_000, description="After so long a record is in a file of the archive.")
    metrics_port: int = Field(0, ge=0, le=65_535, description="Port of `/metrics`, `/readyz` and `/healthz`; 0 for none.")
    clock: Literal["broker", "event"] = Field(
        "broker",
        description="What moves time: the `broker`'s append times, or the `event` times (history, demonstrations).",
    )
    sources: Path | None = Field(None, description="File that lists the source topics; without it orders, logins and tickets.")
    routes: Path | None = Field(None, description="File that says who is told of which alerts; without it nobody is.")
    door_port: int = Field(
        0, ge=0, le=65_535, description="Port of the role `door`, which takes webhooks; 0 for none, and then no such role."
    )
    door_host: str = Field("", description="Address that the door listens on; empty for all.")
    door_wait_ms: _PositiveMs = Field(
        4_000, description="A webhook that Kafka has not acknowledged for so long is answered 503; its sender comes again."
    )
    door_max_bytes: int = Field(
        64 << 20, ge=1 << 20, description="Most memory that webhooks under way take; what does not fit is answered 503."
    )
    schema_registry_url: str = Field(
        "",
        pattern=r"^((https?|mock)://\S+)?$",
        description="Schema registry of sources in Avro or JSON Schema; `user:password@` before the host if it wants them.",
    )
    tick_ms: _PositiveMs = Field(5_000, description="Time between two ticks, which is how late a timer may be told.")
    heartbeat_ms: _PositiveMs = Field(1_000, description="Time between two reports of ingest about a source partition.")
    dead_after_ms: _PositiveMs = Field(3_600_000, description="A feed that has not reported for so long is dead.")
    max_ahead_ms: _NonNegativeMs = Field(
        3_600_000, description="An event this far ahead of the broker's time is refused: its clock is wrong."
    )
    max_dead_letter_share: float = Field(
        0.5, ge=0, le=1, description="A source is paused when more of its latest 1000 records cannot be read; 1: never."
    )
    min_transaction_gap_ms: _NonNegativeMs = Field(
        50,
        description="Least time between two transactions of a log partition that is busy; one that was quiet commits at once.",
    )
    transaction_timeout_ms: int = Field(
        30_000,
        ge=1_000,
        le=900_000,
        description="A transaction that is open for so long is aborted by the broker, which must allow it.",
    )
    busy_customers: int = Field(
        20_000, ge=0, description="Customers of a log partition that are kept ready in memory; the others are packed."
    )
    max_batch_records: int = Field(2_000, ge=1, le=100_000, description="Most records of the log in one transaction.")
    max_backlog_records: int = Field(
        20_000, ge=1, description="Most records that a role holds in memory unprocessed; then it stops fetching."
    )
    position_interval_ms: _PositiveMs = Field(
        300_000, description="The position in the log is committed at least so often, even when nothing else changed."
    )
    learn_snapshot_examples: int = Field(1_000, ge=1, description="The model is published after each so many examples.")
    learn_min_examples: int = Field(3_000, ge=1, description="Matured examples before the model may decide anything.")
    learn_min_rarer_examples: int = Field(100, ge=1, description="How many of them must be of the rarer class.")
    session_timeout_s: float = Field(
        10, ge=1, le=300, description="A worker that the broker has not heard of for so long loses its partitions."
    )
    accept_gap: bool = Field(
        False, description="Go on at the beginning of the log when records were lost between the position and there."
    )
    tracing: bool = Field(
        False, description="Send spans of records of sampled traces to where `OTEL_EXPORTER_OTLP_ENDPOINT` says (OTLP/HTTP)."
    )
    log_format: Literal["json", "logfmt"] = Field(
        "json", description="How a line of the log is written: for machines, or for people (`key=value`)."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level of what is logged on standard error."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """What belongs together, all faults at once."""
        if faults := list(security_faults(self)):
            raise ValueError("\n".join(faults))
        return self

    def topic(self, name: Topic) -> str:
        """The full name of one of our topics."""
        return self.prefix + name

    def usual_roles(self) -> tuple[Role, ...]:
        """What a worker does that is not told: everything; the door only where it has a port."""
        return tuple(role for role in ROLES if role != "door" or self.door_port)

    def parts(self, role: Role) -> tuple[str, ...]:
        """What a role consists of, each with a consumer group of its own: what is down for one does not hold up another."""
        if role != "deliver":
            return (role,)
        wanted = {"redis": self.redis_url, "archive": self.archive, "dispatch": self.routes}
        return tuple(f"{role}-{name}" for name, given in wanted.items() if given)

    def group_id(self, part: str) -> str:
        """The consumer group of a part: its offsets stay when it moves to another process."""
        return self.prefix + part

    def transactional_id(self, partition: int) -> str:
        """Of the one writer that a log partition has: taking it fences whoever held it before."""
        return f"{self.prefix}detect-{partition}"


def load_settings(**overrides: Any) -> Settings:  # noqa: ANN401 - values of any field
    """The settings of this process: `overrides` win over the environment, the environment over the defaults.

    Raises:
        SettingsError: the message has one line for every fault: variable, what is wrong, what it was.
    """
    try:
        return Settings(**overrides)
    except ValidationError as invalid:
        lines = [line for fault in invalid.errors() for line in _lines_of(fault)]
        raise SettingsError("\n".join(sorted(lines))) from None


def variables() -> dict[str, tuple[str, str]]:
    """Every environment variable: its default as text, and what it is for."""
    return {
        variable(name): ("" if field.default is None else str(field.default), str(field.description))
        for name, field in Settings.model_fields.items()
    }


def variable(name: str) -> str:
    """The environment variable of a field.

    >>> variable("tick_ms")
    'CHURN_TICK_MS'
    """
    return PREFIX + name.upper()


def security_faults(settings: Settings) -> Iterator[str]:
    """What does not fit together in how Kafka is reached."""
    sasl, tls = settings.kafka_security.startswith("sasl"), settings.kafka_security.endswith("ssl")
    mechanism, oauth = settings.kafka_mechanism, settings.kafka_mechanism == "OAUTHBEARER"
    if sasl and not mechanism:
        yield f"{variable('kafka_mechanism')} is missing: {variable('kafka_security')}={settings.kafka_security} wants one"
    if mechanism and not sasl:
        yield f"{variable('kafka_mechanism')}={mechanism} goes with {variable('kafka_security')}=sasl_ssl or sasl_plaintext"
    if not tls and (settings.kafka_ca or settings.kafka_certificate):
        yield f"{variable('kafka_ca')} and {variable('kafka_certificate')} go with {variable('kafka_security')}=ssl or sasl_ssl"
    if settings.kafka_key and not settings.kafka_certificate:
        yield f"{variable('kafka_key')} goes with {variable('kafka_certificate')}"
    by_endpoint = oauth and settings.kafka_token_file is None
    if by_endpoint and not settings.kafka_token_url:
        yield f"OAUTHBEARER wants {variable('kafka_token_url')}, or {variable('kafka_token_file')}"
    if mechanism and (by_endpoint or not oauth) and not (settings.kafka_user and settings.kafka_password):
        yield f"{mechanism} wants {variable('kafka_user')} and {variable('kafka_password')}"
    if settings.kafka_password and not settings.kafka_password.startswith(("env:", "file:")):
        yield f"{variable('kafka_password')} does not hold the password itself: env:NAME or file:PATH says where it stands"


def _lines_of(fault: Any) -> list[str]:  # noqa: ANN401 - a TypedDict of pydantic
    if not fault["loc"]:  # of all settings together
        return str(fault["msg"]).removeprefix("Value error, ").splitlines()
    return [_in_plain_words(str(fault["loc"][0]), fault["msg"], fault["input"])]


def _in_plain_words(name: str, fault: str, value: object) -> str:
    description = Settings.model_fields[name].description if name in Settings.model_fields else "no such setting"
    shown = _USER_INFO.sub("://***@", str(value))
    if "@" in shown and "***@" not in shown:  # what is no address may be a password all the same
        shown = "(not shown)"
    return f"{variable(name)}={shown}: {fault[0].lower()}{fault[1:]}. {description}"
