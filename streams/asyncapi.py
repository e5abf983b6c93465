"""AsyncAPI 3.0 of every topic: made from the table of topics, the rights of roles, the schemas and their examples."""

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from schemas.json_schema import DIRECTORY
from streams.asyncapi_messages import MESSAGES, MESSAGES_OF, TOMBSTONES_OF
from streams.rights import NEEDED, WRITE
from streams.settings import Role, Settings, Topic
from streams.topic_table import SOURCE, TABLE, TopicForm
from streams.topics import DEFAULT_SOURCES

FILE: Final = DIRECTORY.parent / "asyncapi.yaml"
_KAFKA_BINDING: Final = "0.5.0"
_BOUND_CONFIGS: Final[Mapping[str, Callable[[str], Any]]] = {"cleanup.policy": lambda text: [text], "retention.ms": int}
"""Those that the binding of Kafka has a place for; the others are in the description."""
_READ_BY_INGEST: Final[tuple[Topic, ...]] = ("actions", "redrive")
_UNBROKEN: Final = 1 << 20


def document() -> dict[str, Any]:
    """The whole description, as plain JSON."""
    defaults = Settings.model_fields
    prefix, bootstrap = str(defaults["prefix"].default), str(defaults["bootstrap"].default)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "churnwatch",
            "version": version("churnwatch"),
            "description": (
                f"What goes into churnwatch, and what comes out. Names of topics begin with CHURN_PREFIX, here `{prefix}`; "
                "numbers of partitions are those of CHURN_PARTITIONS, here the default, or 1. Whoever reads what detect writes "
                "reads committed records only (isolation.level=read_committed)."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"kafka": {"host": bootstrap, "protocol": "kafka", "description": "CHURN_BOOTSTRAP names yours."}},
        "channels": _channels(prefix),
        "operations": dict(_operations()),
        "components": {"messages": _messages_with_keys()},
    }


def rendered() -> bytes:
    """The file, always the same for the same tables."""
    yaml = YAML()
    yaml.width = _UNBROKEN
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.ignore_aliases = lambda _data: True
    buffer = BytesIO()
    buffer.write(b"# Written by `churnwatch schemas`.\n")
    yaml.dump(document(), buffer)
    return buffer.getvalue()


def write(path: Path = FILE) -> Path:
    """Write the file, and return its path."""
    path.write_bytes(rendered())
    return path


def _channels(prefix: str) -> dict[str, Any]:
    ours = {topic: _channel(prefix + topic, form, MESSAGES_OF[topic]) for topic, form in TABLE.items()}
    for topic, message in TOMBSTONES_OF.items():
        ours[topic]["messages"] |= _messages([message])
    return ours | {name: _channel(name, SOURCE, ["sourceEvent"]) for name in DEFAULT_SOURCES}


def _channel(address: str, form: TopicForm, messages: Iterable[str]) -> dict[str, Any]:
    bound = {name: _BOUND_CONFIGS[name](value) for name, value in form.configs.items() if name in _BOUND_CONFIGS}
    others = ", ".join(f"`{name}={value}`" for name, value in form.configs.items() if name not in bound)
    return {
        "address": address,
        "description": f"{form.says} Key: {form.key}. Written by {form.written_by}." + (f" Also {others}." if others else ""),
        "messages": _messages(messages),
        "bindings": {
            "kafka": {
                "topic": address,
                "partitions": Settings.model_fields["partitions"].default if form.partitioned else 1,
                "topicConfiguration": bound,
                "bindingVersion": _KAFKA_BINDING,
            }
        },
    }


def _messages_with_keys() -> dict[str, Any]:
    keys = {
        name: form.key for topic, form in reversed(list(TABLE.items())) for name in MESSAGES_OF[topic] if topic != "actions"
    }
    return {name: {**message, **_key(keys[name])} if name in keys else message for name, message in MESSAGES.items()}


def _key(says: str) -> dict[str, Any]:
    return {"bindings": {"kafka": {"key": {"type": "string", "description": says}, "bindingVersion": _KAFKA_BINDING}}}


def _messages(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}


def _operations() -> Iterable[tuple[str, Any]]:
    """What each role does with which topic; commands are in the descriptions of the channels."""
    for role, topics in NEEDED.items():
        for topic, needed in topics.items():
            for operation in needed:
                yield _operation(role, "send" if operation == WRITE else "receive", topic)
    for channel in (*_READ_BY_INGEST, *DEFAULT_SOURCES):
        yield _operation("ingest", "receive", channel)


def _operation(role: Role, action: str, channel: str) -> tuple[str, Mapping[str, Any]]:
    said: dict[str, Any] = {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}
    said["summary"] = f"The role {role} {'writes' if action == 'send' else 'reads'} it."
    return f"{role}{action.title()}s{channel.title()}", said
