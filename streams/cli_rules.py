"""The commands `churnwatch rules ...`: look at a rules file, and put it in force."""

from pathlib import Path
from typing import Annotated, Final

import typer

from streams.cli_output import AsJson, print_answer

_DIFFERS: Final = 1

RulesFile = Annotated[Path, typer.Argument(help="The rules file.", exists=True, dir_okay=False)]
Other = Annotated[Path | None, typer.Argument(help="Another rules file.", exists=True, dir_okay=False)]
By = Annotated[str, typer.Option(help="Who publishes, for the audit trail.", envvar="USER")]

app = typer.Typer(help="Look at a rules file, and put it in force.", no_args_is_help=True)


@app.command()
def check(file: RulesFile) -> None:
    """Say what a rules file defines, or every fault of it at once."""
    from streams.rules_command import check as checked

    typer.echo(checked(file))


@app.command()
def show(*, as_json: AsJson = False) -> None:
    """Show the rules in force, who published them and when, and what was published before."""
    from streams.rules_command import show as in_force
    from streams.settings import load_settings

    print_answer(in_force(load_settings()), as_json=as_json)


@app.command()
def diff(file: RulesFile, other: Other = None, *, as_json: AsJson = False) -> None:
    """Show what a file changes in the rules in force; or, with two files, what the second changes in the first."""
    from streams.rules_command import diff_files, diff_in_force
    from streams.settings import load_settings

    found = diff_in_force(file, load_settings()) if other is None else diff_files(file, other)
    print_answer(found, as_json=as_json)
    if found.changes:
        raise typer.Exit(_DIFFERS)


@app.command()
def publish(file: RulesFile, *, by: By = "unknown", as_json: AsJson = False) -> None:
    """Put a rules file in force; one with faults changes nothing."""
    from streams.rules_command import publish as published
    from streams.settings import load_settings

    print_answer(published(file, load_settings(), by), as_json=as_json)
