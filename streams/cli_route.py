"""The commands `churnwatch route ...`: who is told of which alerts."""

from pathlib import Path
from typing import Annotated

import typer

from streams.cli_output import AsJson, print_json

FAULTY = 1

app = typer.Typer(help="Look at who is told of which alerts.", no_args_is_help=True)


@app.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(help="The file of routes; that of CHURN_ROUTES without it.", exists=True, dir_okay=False)
    ] = None,
) -> None:
    """Say what a file of routes does, or every fault of it at once; its secrets are not read."""
    from streams.route_check import check as checked
    from streams.routes_file import RoutesFileError

    try:
        typer.echo(checked(_file(file)))
    except RoutesFileError as faults:
        typer.echo(str(faults), err=True)
        raise typer.Exit(FAULTY) from None


@app.command("test")
def try_(
    alert_id: Annotated[
        str | None, typer.Argument(metavar="[ALERT_ID]", help="An alert's id, or its first 8 characters or more.")
    ] = None,
    *,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Alert records as `replay` prints them, in place of the topics.", exists=True, dir_okay=False
        ),
    ] = None,
    routes: Annotated[
        Path | None, typer.Option(help="Another file than that of CHURN_ROUTES.", exists=True, dir_okay=False)
    ] = None,
    at: Annotated[str | None, typer.Option(help="When it opens, like 2026-01-31T23:00:00+08:00; now without it.")] = None,
    text: Annotated[bool, typer.Option("--text", help="With what each person would read.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say who would be told of an alert, when and why; without an id of every alert in the file. Nothing is sent."""
    from schemas.errors import ContractError
    from schemas.instants import parse_instant
    from streams.alert_lookup import all_in_file, in_file, in_topics
    from streams.route_trial import tried
    from streams.routes_file import load_routes
    from streams.settings import load_settings
    from streams.wallclock import now_ms

    try:
        at_ms = now_ms() if at is None else parse_instant(at)
    except ContractError as error:
        raise typer.BadParameter(error.message) from None
    if source is None and alert_id is None:
        raise typer.BadParameter("name an ALERT_ID, or a file of alerts with --from")
    file = load_routes(_file(routes), reads_secrets=False)
    if source is None:
        histories = [in_topics(load_settings(), alert_id or "", ("alerts",))]
    else:
        histories = all_in_file(source) if alert_id is None else [in_file(source, alert_id)]
    found = tried(histories, file, at_ms)
    if as_json:
        print_json({"at_ms": at_ms, "alerts": [one.as_json() for one in found]})
    else:
        typer.echo("\n".join(one.shown(texts=text) for one in found) or "there is no alert in the file")


def _file(file: Path | None) -> Path:
    from streams.settings import load_settings, variable

    found = file or load_settings().routes
    if found is None:
        raise typer.BadParameter(f"name a file of routes, or set {variable('routes')}")
    return found
