"""The commands `churnwatch feed ...`: what people know about the silence of a feed."""

from typing import Annotated

import typer

from streams.cli_output import AsJson, print_answer

Feed = Annotated[str, typer.Argument(metavar="NAME", help="The feed, as the rules and the file of sources call it.")]
By = Annotated[str, typer.Option(help="Who says so, for the trail.", envvar="USER")]

app = typer.Typer(help="Say what the silence of a feed was: true, or events that are lost.", no_args_is_help=True)


@app.command()
def confirm(
    name: Feed,
    *,
    from_: Annotated[str | None, typer.Option("--from", help="An instant; by default as the feed's open alert says.")] = None,
    until: Annotated[str | None, typer.Option(help="An instant, which may lie ahead; by default in 24 hours.")] = None,
    by: By = "unknown",
    as_json: AsJson = False,
) -> None:
    """Say that the silence is true (the shop is closed): time goes on for the feed."""
    from streams.feed_command import confirm as confirmed
    from streams.settings import load_settings

    from_ms, until_ms = _instant(from_), _instant(until)
    print_answer(confirmed(load_settings(), name, from_ms=from_ms, until_ms=until_ms, by=by), as_json=as_json)


@app.command()
def gap(
    name: Feed,
    from_: Annotated[str, typer.Argument(metavar="FROM", help="An instant, like 2026-01-31T08:00:00+08:00.")],
    until: Annotated[str, typer.Argument(metavar="UNTIL", help="An instant; events at it are there again.")],
    *,
    by: By = "unknown",
    as_json: AsJson = False,
) -> None:
    """Say that events are lost for good: silences are extended by that time, windows that overlap it are unknown."""
    from streams.feed_command import gap as lost
    from streams.settings import load_settings

    from_ms, until_ms = _instant(from_), _instant(until)
    print_answer(lost(load_settings(), name, from_ms=from_ms or 0, until_ms=until_ms or 0, by=by), as_json=as_json)


def _instant(text: str | None) -> int | None:
    from schemas.errors import ContractError
    from schemas.instants import parse_instant

    try:
        return None if text is None else parse_instant(text)
    except ContractError as error:
        raise typer.BadParameter(error.message) from None
