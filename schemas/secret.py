"""A value that nobody may see: it shows where it stands, never what it is."""

import base64
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, unquote

_MASK: Final = "***"


class Secret:
    """A password, a key, or an address that opens a door.

    `str` and `repr` are masked, so it may stand in settings, log lines and error messages. Not to be pickled or encoded.

    Args:
        value: the secret itself; None: only where it stands is known, since it was not to be read.
        stands_in: where it was read from, e.g. `env:SLACK_URL`.
    """

    __slots__ = ("_value", "stands_in")

    def __init__(self, value: str | None, stands_in: str = "") -> None:
        self._value = value
        self.stands_in = stands_in

    @property
    def is_read(self) -> bool:
        """Whether there is a value to reveal."""
        return self._value is not None

    def reveal(self) -> str:
        """The secret: for the call that needs it, never for a message.

        Raises:
            ValueError: it was not read.
        """
        if self._value is None:
            raise ValueError(f"the secret {self.stands_in} was not read")
        return self._value

    def __str__(self) -> str:
        return self.stands_in or _MASK

    def __repr__(self) -> str:
        return f"Secret({self})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return (self._value, self.stands_in) == (other._value, other.stands_in)

    def __hash__(self) -> int:
        return hash((self._value, self.stands_in))

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written anywhere")


def hidden(text: str, secrets: Iterable[str]) -> str:
    """What another side says, with `***` for what it repeats of ours, also as that stands in an address or in base64.

    >>> hidden("no such path: /services/a%2Fb", ["a/b"])
    'no such path: /services/***'
    """
    forms = {form for secret in secrets for form in _forms(secret) if form}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, _MASK)
    return text


def _forms(secret: str) -> Iterator[str]:
    yield from (secret, quote(secret), quote(secret, safe=""), unquote(secret))
    yield base64.b64encode(secret.encode()).decode().rstrip("=")
