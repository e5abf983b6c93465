"""Section `door` of a source: who may send to it over HTTP, how that is proven, how much and how fast."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from streams.topics import MAX_VALUE_BYTES

Signature = Literal["shopify", "zendesk", "segment", "jiandaoyun", "github", "standard-webhooks", "hmac-sha256", "none"]
SIGNATURES: Final[tuple[Signature, ...]] = get_args(Signature)

_SECRETS: Final = ("secret_file", "secret_env")
_NUMBERS: Final[Mapping[str, tuple[float, float]]] = {
    "limit_bytes": (1, MAX_VALUE_BYTES),
    "rate_per_s": (0.001, 1_000_000),
    "tolerance_s": (1, 86_400),
}
"""The least and the greatest that is allowed."""
_KEYS: Final = frozenset({"signature", "header", "headers", *_SECRETS, *_NUMBERS})


@dataclass(frozen=True)
class DoorTerms:
    """What a source asks of those who send to it. The secrets themselves stand elsewhere."""

    signature: Signature
    secret_file: Path | None = None
    secret_env: str = ""
    """Of an environment variable. In either, each line is a secret, and a signature with any of them is good."""
    header: str = "X-Signature"
    """Where `hmac-sha256` stands; the others have headers of their own."""
    headers: tuple[str, ...] = ()
    """Further headers that go with a record; those that a vendor is known to send do so anyway."""
    limit_bytes: int = MAX_VALUE_BYTES
    rate_per_s: float = 1_000
    """Of one process; as many may come at once as are let in within a second."""
    tolerance_s: float = 300
    """How far the time that was signed may be from ours, for the signatures that hold one."""


def read_door(section: Mapping[str, Any], folder: Path) -> DoorTerms:
    """The terms of a section without faults; the path of a file of secrets begins at the folder."""
    given = dict(section)
    if "secret_file" in given:
        given["secret_file"] = folder / given["secret_file"]
    if "headers" in given:
        given["headers"] = tuple(given["headers"])
    return DoorTerms(**given)


def door_faults(section: object) -> Iterator[str]:
    """What is wrong with a section, a sentence for each fault."""
    if not isinstance(section, Mapping):
        yield f"`door` is {section!r}: {{signature: ...}} is wanted, one of {', '.join(SIGNATURES)}"
        return
    for name in section:
        if name not in _KEYS:
            yield f"`door: {name}` is not known here: {', '.join(sorted(_KEYS))} are"
    if section.get("signature") not in SIGNATURES:
        yield f"`door: signature` is {section.get('signature')!r}: one of {', '.join(SIGNATURES)} is wanted"
    yield from _secret_faults(section)
    yield from _header_faults(section)
    for name, (least, greatest) in _NUMBERS.items():
        value = section.get(name, least)
        number = isinstance(value, int if name == "limit_bytes" else (int, float)) and not isinstance(value, bool)
        if not number or not least <= value <= greatest:
            yield f"`door: {name}` is {value!r}: a number from {least:g} to {greatest:,.0f} is wanted"


def _secret_faults(section: Mapping[str, Any]) -> Iterator[str]:
    given = [name for name in _SECRETS if name in section]
    for name in given:
        if not isinstance(section[name], str) or not section[name]:
            yield f"`door: {name}` is no name: it says where the secrets are, and is not one itself"
    wanted = 0 if section.get("signature") == "none" else 1
    if len(given) != wanted:
        says = "there is nothing to sign with: leave secret_file and secret_env out"
        yield f"`door`: {says if not wanted else 'one of secret_file and secret_env is wanted'}"


def _header_faults(section: Mapping[str, Any]) -> Iterator[str]:
    if "header" in section and section.get("signature") != "hmac-sha256":
        yield "`door: header` is for the signature hmac-sha256: the others have headers of their own"
    names = section.get("headers", [])
    if not isinstance(names, list):
        yield f"`door: headers` is {names!r}: a list of names is wanted"
        return
    for name in [section.get("header", "X"), *names]:
        if not isinstance(name, str) or not name.isascii() or not name.replace("-", "").isalnum():
            yield f"`door`: {name!r} is no name of a header"
