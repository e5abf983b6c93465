"""The words of a CEL expression, as far as names, numbers and text have to be found in it.

The library says what is an expression; here nothing is refused.
"""

import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

_TOKEN: Final = re.compile(
    r"""
      (?P<skip>\s+|//[^\n]*)
    | (?P<text>[bB]?[rR][bB]?(?:'''.*?'''|\"\"\".*?\"\"\"|'[^'\n]*'|"[^"\n]*")
        |[bB]?(?:'''(?:[^\\]|\\.)*?'''|\"\"\"(?:[^\\]|\\.)*?\"\"\"|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"))
    | (?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[uU]?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<mark>==|!=|<=|>=|&&|\|\||.)
    """,
    re.VERBOSE | re.DOTALL,
)
_PLAIN_TEXT: Final = re.compile(r"""'[^'\\]*'|"[^"\\]*\"""")
_PLAIN_NUMBER: Final = re.compile(r"[0-9.]+(?:[eE][+-]?[0-9]+)?")


class Token(NamedTuple):
    """One word."""

    kind: Literal["name", "mark", "number", "text"]
    text: str
    """As written."""
    value: float | str | None = None
    """Of a number, or of text without escapes; None where only the library knows it."""


def tokens_of(expression: str) -> list[Token]:
    """All words but blanks and comments."""
    return [_token(str(found.lastgroup), found.group()) for found in _TOKEN.finditer(expression) if found.lastgroup != "skip"]


def _token(kind: str, text: str) -> Token:
    match kind:
        case "number":
            return Token("number", text, float(text) if _PLAIN_NUMBER.fullmatch(text) else None)
        case "text":
            return Token("text", text, text[1:-1] if _PLAIN_TEXT.fullmatch(text) and len(text) > 1 else None)
        case "name":
            return Token("name", text)
        case _:
            return Token("mark", text)


def members_of(tokens: Sequence[Token], owner: str) -> frozenset[str]:
    """Every NAME in `owner.NAME`."""
    return frozenset(name for _, name in placed_members(tokens, owner))


def placed_members(tokens: Sequence[Token], owner: str) -> list[tuple[int, str]]:
    """The same with the place of `owner` in the tokens."""
    return [
        (place, name.text)
        for place, (first, dot, name) in enumerate(zip(tokens, tokens[1:], tokens[2:], strict=False))
        if first == ("name", owner, None)
        and dot.text == "."
        and name.kind == "name"
        and (place == 0 or tokens[place - 1].text != ".")
    ]
