"""The commands `churnwatch storm ...`: alerts that are held because a rule opened for too many customers at once."""

from typing import Annotated

import typer

from streams.cli_output import AsJson, print_answer, print_json

Rule = Annotated[str, typer.Argument(metavar="RULE", help="The id of the rule, without its version.")]
By = Annotated[str, typer.Option(help="Who says so, for the trail.", envvar="USER")]

app = typer.Typer(help="Alerts that are held since a rule opened for too many customers at once.", no_args_is_help=True)


@app.command(name="list")
def list_(*, as_json: AsJson = False) -> None:
    """Say what is held, for whom, and since when."""
    from streams.settings import load_settings
    from streams.storm_command import as_text, held

    storms = held(load_settings())
    if as_json:
        print_json({"storms": [one.as_json() for one in storms]})
    else:
        typer.echo(as_text(storms))


@app.command()
def release(rule: Rule, *, by: By = "unknown", as_json: AsJson = False) -> None:
    """Tell what is held: to each recipient in one message, the most urgent first."""
    _order(rule, "release", by, as_json=as_json)


@app.command()
def drop(rule: Rule, *, by: By = "unknown", as_json: AsJson = False) -> None:
    """Never tell what is held: it was a false alarm."""
    _order(rule, "drop", by, as_json=as_json)


def _order(rule: str, what: str, by: str, *, as_json: bool) -> None:
    from streams.settings import load_settings
    from streams.storm_command import order

    sent = order(load_settings(), rule, what, by)
    print_answer(sent, as_json=as_json)
