"""The command `churnwatch mapping check`: try a mapping before anything depends on it."""

from pathlib import Path
from typing import Annotated, Final

import typer

from streams.cli_output import AsJson, print_answer

_FOUND_SOMETHING: Final = 1

app = typer.Typer(help="Try a mapping before anything depends on it.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Without it the only command would take the place of the group."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The mapping file.", exists=True, dir_okay=False)],
    *,
    table: Annotated[
        Path | None, typer.Option("--from", help="File whose rows are tried.", exists=True, dir_okay=False)
    ] = None,
    topic: Annotated[str | None, typer.Option(help="Topic whose records are tried, its full name.")] = None,
    records: Annotated[int, typer.Option(min=1, help="How many records of the topic.")] = 1_000,
    newest: Annotated[bool, typer.Option("--newest", help="The topic's newest records, not its oldest.")] = False,
    sample: Annotated[int, typer.Option(min=0, help="How many are shown before and after.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Say what a mapping reads and makes, and try it on a file or a topic: what would become of the records."""
    from streams import mapping_check
    from streams.settings import load_settings

    if table is not None and topic is not None:
        raise typer.BadParameter("records come --from a file or from a --topic, not from both")
    if table is not None:
        findings = mapping_check.check_file(file, table, sample)
    elif topic is not None:
        chosen = mapping_check.Records(topic, records, newest)
        findings = mapping_check.check_topic(file, load_settings(), chosen, sample)
    else:
        findings = mapping_check.check(file)
    print_answer(findings, as_json=as_json)
    if findings.warnings:
        raise typer.Exit(_FOUND_SOMETHING)
