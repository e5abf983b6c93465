"""The commands `churnwatch risk ...`: who is at risk."""

from typing import Annotated

import typer

from streams.cli_output import AsJson, print_json

app = typer.Typer(help="Who is at risk.", no_args_is_help=True)


@app.callback()
def only_by_name() -> None:
    """So that `list` is a command of its own also while it is the only one."""


@app.command(name="list")
def list_(
    *,
    top: Annotated[int, typer.Option(help="Most customers.", min=1)] = 50,
    owner: Annotated[str | None, typer.Option(help="Only customers of this owner.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="For spreadsheets, with a heading.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say whom to call today: the customers with the most at stake, by probability times yearly value."""
    from streams import risk_list
    from streams.settings import load_settings

    if as_csv and as_json:
        raise typer.BadParameter("--csv and --json exclude each other")
    rows = risk_list.risk_list(load_settings(), top=top, owner=owner)
    if as_json:
        print_json({"customers": [row.as_json() for row in rows]})
    else:
        typer.echo(risk_list.as_csv(rows) if as_csv else risk_list.as_text(rows), nl=not as_csv)
