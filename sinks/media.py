"""What a text may hold where it is read: how data is made harmless, how a link is written, how much fits."""

import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_LOOKS_LIKE: Final = str.maketrans(
    {
        "<": "\N{FULLWIDTH LESS-THAN SIGN}",
        ">": "\N{FULLWIDTH GREATER-THAN SIGN}",
        "[": "\N{FULLWIDTH LEFT SQUARE BRACKET}",
        "]": "\N{FULLWIDTH RIGHT SQUARE BRACKET}",
        "*": "\N{FULLWIDTH ASTERISK}",
        "`": "\N{FULLWIDTH GRAVE ACCENT}",
        "@": "\N{FULLWIDTH COMMERCIAL AT}",
    }
)


@dataclass(frozen=True)
class Medium:
    """Where a message is read."""

    name: str
    escape: Callable[[str], str]
    """Of data, such as a customer's name: it must not become markup, mention anybody, or lead anywhere."""
    link: Callable[[str, str], str]
    """A label and an address, which is ours."""
    most_bytes: int
    """Of a whole text, in UTF-8."""
    most_items: int
    """Of a digest."""


def one_line(text: str) -> str:
    """Nobody's name has a line of its own.

    >>> one_line(f"a{chr(13)}{chr(10)}Bcc: b")
    'a Bcc: b'
    """
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def cut(text: str, most_bytes: int) -> str:
    """As many whole lines as fit, and a mark that something is missing.

    >>> print(cut(chr(10).join(["one", "two", "three"]), 11))
    one
    ...
    """
    if len(text.encode()) <= most_bytes:
        return text
    kept: list[str] = []
    left = most_bytes - len("\n...")
    for line in text.split("\n"):
        left -= len(line.encode()) + 1
        if left < 0:
            break
        kept.append(line)
    return "\n".join([*kept, "..."])


def _slack(text: str) -> str:
    """Slack knows three characters; `<!channel>` begins with one of them."""
    return one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _markdown(text: str) -> str:
    """The dialects differ in what a backslash does, so what begins markup is written as what looks like it."""
    return one_line(text).translate(_LOOKS_LIKE)


PLAIN: Final = Medium("plain", one_line, lambda label, url: f"{label}: {url}", 200_000, 100)
HTML: Final = Medium(
    "html",
    lambda text: html.escape(one_line(text)),
    lambda label, url: f'<a href="{html.escape(url)}">{html.escape(label)}</a>',
    200_000,
    100,
)
SLACK: Final = Medium("slack", _slack, lambda label, url: f"<{url}|{_slack(label)}>", 30_000, 30)
MARKDOWN: Final = Medium("markdown", _markdown, lambda label, url: f"[{_markdown(label)}]({url})", 18_000, 30)
SHORT_MARKDOWN: Final = Medium("short markdown", _markdown, MARKDOWN.link, 4_096, 8)
"""Of WeCom, which takes 4096 bytes."""
