"""How commands answer: in words, or for machines as one JSON object on the last line of standard output."""

import json
from typing import Annotated, Any, Protocol

import typer

AsJson = Annotated[bool, typer.Option("--json", help="For machines: one JSON object on the last line.")]


class Answer(Protocol):
    """What a command found or did."""

    def as_json(self) -> dict[str, Any]:
        """The members of the JSON object."""

    def __str__(self) -> str:
        """The same in words."""


def print_answer(answer: Answer, *, as_json: bool) -> None:
    """Print an answer in the form that was asked for."""
    if as_json:
        print_json(answer.as_json())
    else:
        typer.echo(str(answer))


def print_json(plain: dict[str, Any]) -> None:
    """Print a JSON object in one line."""
    typer.echo(json.dumps(plain, ensure_ascii=False))
