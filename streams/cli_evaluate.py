"""The command `churnwatch evaluate`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from streams.evaluate import Options

File = Annotated[Path, typer.Argument(help="Canonical JSON lines; - for standard input.", allow_dash=True)]


def add_commands(app: typer.Typer) -> None:
    """Add it to the commands of an app."""
    app.command("evaluate")(evaluate)


def evaluate(  # noqa: PLR0913 - the options of a command
    file: File,
    *,
    rules: Annotated[Path | None, typer.Option(help="Rules file; without it there is only the model.")] = None,
    horizon: Annotated[str | None, typer.Option(help="Of the churn, in place of the rules'; P90D without any.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="Judge from this instant on.")] = None,
    until: Annotated[str | None, typer.Option(help="Judge before this instant.")] = None,
    active: Annotated[str | None, typer.Option(help="Who did something within it is active; by default the horizon.")] = None,
    break_even: Annotated[float, typer.Option(min=0, max=1, help="Contacting pays above this probability.")] = 0.28,
    json_file: Annotated[Path | None, typer.Option("--json", help="File for all numbers.")] = None,
    html_file: Annotated[Path | None, typer.Option("--html", help="File for a page with charts.")] = None,
) -> None:
    """Run the pipeline over events as it would have run live, and say how good model, baselines and rules were."""
    import orjson

    from streams.evaluate import evaluate as evaluated
    from streams.evaluate_summary import as_plain, cost_in_words, in_words
    from streams.whole_file import replaced

    options = _options(rules, horizon, from_, until, active, break_even)
    found = evaluated(file, options)
    typer.echo(in_words(found))
    typer.echo(cost_in_words(found), err=True)
    if json_file is not None:
        with replaced(json_file) as out:
            out.write(orjson.dumps(as_plain(found), option=orjson.OPT_INDENT_2) + b"\n")
    if html_file is not None:
        from streams.evaluate_html import page

        with replaced(html_file) as out:
            out.write(page(found).encode())


def _options(
    rules: Path | None, horizon: str | None, from_: str | None, until: str | None, active: str | None, break_even: float
) -> "Options":
    from schemas.errors import ContractError
    from schemas.instants import exact_ms, parse_instant
    from streams.evaluate import Options
    from streams.rules_file import load_rules

    try:
        for duration in (horizon, active):
            exact_ms(duration or "P1D")
        from_ms, until_ms = (None if text is None else parse_instant(text) for text in (from_, until))
    except ContractError as error:
        raise typer.BadParameter(error.message) from None
    return Options(
        rules=load_rules(rules) if rules is not None else None,
        horizon=horizon,
        from_ms=from_ms,
        until_ms=until_ms,
        active=active,
        break_even=break_even,
        progress=sys.stderr.isatty(),
    )
