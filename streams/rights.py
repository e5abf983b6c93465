"""What each role must be allowed at the broker, and what of it is missing; on a broker without access control, nothing."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, get_args

from kafka.admin import ACLOperation
from kafka.errors import GroupAuthorizationFailedError, KafkaError

from streams.settings import Role, Settings, Topic
from streams.sources import Source
from streams.topics import TopicsError, admin_of

READ: Final = ACLOperation.READ
WRITE: Final = ACLOperation.WRITE
DESCRIBE: Final = ACLOperation.DESCRIBE
NEEDED: Final[Mapping[Role, Mapping[Topic, Sequence[ACLOperation]]]] = {
    "ingest": {"events": (WRITE,), "progress": (READ, WRITE), "deadletters": (WRITE,)},
    "clock": {"progress": (READ, WRITE), "control": (READ,), "events": (READ, WRITE)},
    "detect": {
        "events": (READ,),
        "state": (READ, WRITE),
        "alerts": (WRITE,),
        "shadow": (WRITE,),
        "risk": (WRITE,),
        "lifecycle": (WRITE,),
        "examples": (WRITE,),
        "erasures": (WRITE,),
        "deadletters": (WRITE,),
    },
    "learn": {"examples": (READ,), "models": (READ, WRITE), "control": (WRITE,)},
    "deliver": {
        "alerts": (READ,),
        "risk": (READ,),
        "lifecycle": (READ,),
        "events": (READ,),
        "deliveries": (READ, WRITE),
        "deadletters": (WRITE,),
    },
    "door": {"alerts": (READ,), "actions": (WRITE,)},
}
"""Beside READ on the consumer groups of the role, and for detect WRITE on the transactional ids."""
WITHOUT_GROUP: Final[frozenset[Role]] = frozenset({"door"})
_OF_ALL: Final = (DESCRIBE, ACLOperation.DESCRIBE_CONFIGS)
"""On each of our topics, since every worker checks them at its start; on the sources DESCRIBE is enough, but for ingest READ
on all, and for the door WRITE on those that have one."""

_NO_RIGHT_AT_ALL: Final = 29
_WORDS: Final = {"DESCRIBE_CONFIGS": "DescribeConfigs"}
"""As `kafka-acls` writes operations of two words."""


def check_rights(settings: Settings, roles: Sequence[Role], sources: Sequence[Source]) -> None:
    """Check that the broker lets this worker do what its roles do.

    Raises:
        TopicsError: one line for each right that is missing: operation, topic or group, role.
        kafka.errors.KafkaError: the broker does not answer.
    """
    if missing := missing_rights(settings, roles, sources):
        raise TopicsError("\n".join(missing))


def missing_rights(settings: Settings, roles: Sequence[Role], sources: Sequence[Source] = ()) -> list[str]:
    """The rights that the broker would refuse, one sentence each; a topic that does not exist is left out.

    Raises:
        kafka.errors.KafkaError: the broker does not answer.
    """
    needed = dict(_needed(settings, roles, sources))
    with admin_of(settings) as admin:
        topics = {topic["name"]: topic for topic in admin.describe_topics(sorted({name for name, _ in needed}))}
        lacking = [
            f"{operation.name} on the topic {name} is missing, which {' and '.join(sorted(needed_by))} must have"
            for (name, operation), needed_by in needed.items()
            if not _allows(topics.get(name), operation)
        ]
        return lacking + [
            f"READ on the consumer group {group} is missing, which {role} must have"
            for role in roles
            for part in settings.parts(role)
            if role not in WITHOUT_GROUP and not _group_allows(admin, group := settings.group_id(part))
        ]


class Right(NamedTuple):
    """One operation that one role must be allowed."""

    role: Role
    kind: Literal["topic", "group", "transactional-id"]
    name: str
    operation: ACLOperation
    is_prefix: bool = False
    """Of all names that begin so."""

    def as_json(self) -> dict[str, str | bool]:
        """For other programs."""
        return {
            "role": self.role,
            "kind": self.kind,
            "name": self.name,
            "operation": self.operation.name,
            "is_prefix": self.is_prefix,
        }


def rights_of(settings: Settings, role: Role, sources: Sequence[Source]) -> list[Right]:
    """Everything that a role must be allowed, and nothing else; sorted."""
    asked = {} if role == "door" and settings.routes is None else NEEDED[role]  # a door needs them for links
    topics = {(settings.topic(topic), operation) for topic, needed in asked.items() for operation in needed}
    topics |= {(settings.topic(topic), operation) for topic in get_args(Topic) for operation in _OF_ALL}
    topics |= {(source.topic, _on_source(role, source)) for source in sources}
    found = [Right(role, "topic", name, operation) for name, operation in sorted(topics)]
    if role not in WITHOUT_GROUP:
        found += [Right(role, "group", settings.group_id(part), READ) for part in settings.parts(role)]
    if role == "detect":
        begins = settings.transactional_id(0).removesuffix("0")
        found += [Right(role, "transactional-id", begins, operation, is_prefix=True) for operation in (WRITE, DESCRIBE)]
    return found


def acl_commands(settings: Settings, roles: Sequence[Role], sources: Sequence[Source], principal: str) -> list[str]:
    """A `kafka-acls` command for each resource of each role; `{role}` in the principal is filled in."""
    commands: list[str] = []
    for role in roles:
        by_resource: dict[tuple[str, str, bool], list[str]] = {}
        for right in rights_of(settings, role, sources):
            by_resource.setdefault((right.kind, right.name, right.is_prefix), []).append(right.operation.name)
        for (kind, name, is_prefix), operations in by_resource.items():
            words = ["kafka-acls", "--bootstrap-server", settings.bootstrap, "--add"]
            words += ["--allow-principal", principal.replace("{role}", role)]
            words += [word for operation in operations for word in ("--operation", _WORDS.get(operation, operation.title()))]
            words += [f"--{kind}", name, *(["--resource-pattern-type", "prefixed"] if is_prefix else [])]
            commands.append(shlex.join(words))
    return commands


def _needed(
    settings: Settings, roles: Sequence[Role], sources: Sequence[Source]
) -> Iterator[tuple[tuple[str, ACLOperation], list[Role]]]:
    by_right: dict[tuple[str, ACLOperation], list[Role]] = {}
    for role in roles:
        for right in rights_of(settings, role, sources):
            if right.kind == "topic":
                by_right.setdefault((right.name, right.operation), []).append(role)
    yield from by_right.items()


def _on_source(role: Role, source: Source) -> ACLOperation:
    if role == "ingest":
        return READ
    return WRITE if role == "door" and source.door is not None else DESCRIBE


def _allows(topic: Mapping[str, Any] | None, operation: ACLOperation) -> bool:
    """A topic without any right is told as that; one that does not exist is for another check to tell."""
    if topic is not None and topic["error_code"] == _NO_RIGHT_AT_ALL:
        return False
    return topic is None or bool(topic["error_code"]) or _has(topic, operation)


def _group_allows(admin: Any, group: str) -> bool:  # noqa: ANN401 - kafka-python has no types
    try:
        found = admin.describe_groups([group])[group]
    except GroupAuthorizationFailedError:
        return False
    except KafkaError:  # a new cluster has no coordinators for a second; joining the group waits for that
        return True
    if found["error"]:
        return GroupAuthorizationFailedError.__name__ not in found["error"]
    return _has(found, READ)


def _has(described: Mapping[str, Any], operation: ACLOperation) -> bool:
    """Whether it is among the operations that the broker allows us; the development broker allows everything, untold.

    >>> _has({"authorized_operations": ["READ", "DESCRIBE"]}, WRITE), _has({"authorized_operations": None}, WRITE)
    (False, True)
    """
    allowed = described["authorized_operations"]
    return allowed is None or operation.name in allowed
