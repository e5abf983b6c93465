"""Secrets are named, never written down: `env:NAME` is an environment variable, `file:PATH` a file."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from schemas.secret import Secret

WANTED = "env:NAME (an environment variable) or file:PATH (a file)"


class SecretError(ValueError):
    """A secret is not named as it must be, or is not where its name says; the message never shows what may be one."""


@dataclass(frozen=True, slots=True)
class SecretName:
    """Where a secret stands."""

    kind: Literal["env", "file"]
    place: str
    """Name of the variable, or path of the file."""

    def __str__(self) -> str:
        return f"{self.kind}:{self.place}"


def secret_name(text: str, folder: Path = Path()) -> SecretName:
    """Where a reference says that a secret stands; the path of a file begins at the folder.

    >>> str(secret_name("env:SLACK_URL"))
    'env:SLACK_URL'

    Raises:
        SecretError: it is no reference: perhaps the secret itself, so it is not shown.
    """
    kind, _, place = text.partition(":")
    if kind == "env" and place:
        return SecretName("env", place)
    if kind == "file" and place:
        return SecretName("file", str(folder / place))
    raise SecretError(f"a secret does not stand here itself: write {WANTED}")


def read_secret(name: SecretName, environment: Mapping[str, str] = os.environ) -> Secret:
    """The one secret that stands there.

    Raises:
        SecretError: there is none, or more than one line, or the file cannot be read.
    """
    found = read_secrets(name, environment)
    if len(found) > 1:
        raise SecretError(f"{_shown(name)} has {len(found)} lines: one secret is wanted")
    return found[0]


def read_secrets(name: SecretName, environment: Mapping[str, str] = os.environ) -> tuple[Secret, ...]:
    """All that stand there, one a line, at least one: who changes a secret keeps the old one for a while.

    Raises:
        SecretError: there is none, or the file cannot be read.
    """
    lines = (line.strip() for line in _text(name, environment).splitlines())
    found = tuple(Secret(line, str(name)) for line in lines if line)
    if not found:
        raise SecretError(f"{_shown(name)} has no secret: one a line is wanted")
    return found


def _text(name: SecretName, environment: Mapping[str, str]) -> str:
    if name.kind == "env":
        return environment.get(name.place, "")
    try:
        return Path(name.place).read_text("utf-8")
    except OSError as error:
        raise SecretError(f"{_shown(name)} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SecretError(f"{_shown(name)} is not UTF-8 text") from None


def _shown(name: SecretName) -> str:
    return f"the variable {name.place}" if name.kind == "env" else f"the file {name.place}"
