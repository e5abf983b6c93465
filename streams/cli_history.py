"""The commands for history: `import` of files, `export` of the log, `replay` of either."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from streams.cli_output import AsJson, print_json

File = Annotated[Path, typer.Argument(help="The file to read.", exists=True, dir_okay=False)]


def add_commands(app: typer.Typer) -> None:
    """Add them to the commands of an app."""
    app.command("import")(import_)
    app.command("export")(export)
    app.command("replay")(replay)


def import_(
    file: File,
    *,
    mapping: Annotated[Path | None, typer.Option("--map", help="Mapping file; without it rows are events.")] = None,
    topic: Annotated[str | None, typer.Option(help="Source topic to write to, its full name.")] = None,
    out: Annotated[Path | None, typer.Option(help="File of JSON lines to write, in place of a topic.")] = None,
    as_json: AsJson = False,
) -> None:
    """Map a CSV, Excel, Parquet, JSON lines or XES file to events, sorted by time, into a topic or a file."""
    from streams.import_file import import_file
    from streams.settings import load_settings

    if (topic is None) == (out is None):
        raise typer.BadParameter("name a --topic or a file with --out; `churnwatch mapping check` tries it without")
    settings = load_settings() if topic is not None else None
    summary = import_file(file, mapping, settings=settings, topic=topic, out=out, progress=sys.stderr.isatty())
    typer.echo(str(summary), err=as_json)
    if as_json:
        print_json(
            {
                "rows": summary.rows,
                "skipped": summary.skipped,
                "events": dict(sorted(summary.events.items())),
                "dead_letters": dict(sorted(summary.dead_letters.items())),
                "already_there": summary.already_there,
            }
        )


def export(
    out: Annotated[Path | None, typer.Option(help="File to write; standard output without it.")] = None,
) -> None:
    """Write the log as JSON lines, with partitions and offsets, for `replay`."""
    from streams.export import export_log
    from streams.settings import load_settings
    from streams.whole_file import replaced

    settings = load_settings()
    if out is None:
        count = export_log(settings, sys.stdout.buffer)
    else:
        with replaced(out) as lines:
            count = export_log(settings, lines)
    typer.echo(f"{count} records", err=True)


def replay(
    file: File,
    *,
    rules: Annotated[Path | None, typer.Option(help="Rules file, in place of rules that the lines contain.")] = None,
    tick: Annotated[str, typer.Option(help="Time between two ticks, if the file has none.")] = "PT1H",
    until: Annotated[str | None, typer.Option(help="Instant of the last tick; by default the last record's.")] = None,
) -> None:
    """Run canonical JSON lines through the engine, without a broker: alerts as JSON lines, the same bytes each time."""
    from schemas.codec import encode
    from schemas.errors import ContractError
    from schemas.instants import exact_ms, parse_instant
    from streams.replay import replay_file
    from streams.rules_file import load_rules

    try:
        tick_ms, until_ms = exact_ms(tick), None if until is None else parse_instant(until)
    except ContractError as error:
        raise typer.BadParameter(error.message) from None
    for decisions in replay_file(file, load_rules(rules) if rules else None, tick_ms=tick_ms, until_ms=until_ms):
        for alert in (*decisions.alerts, *decisions.shadow):
            sys.stdout.buffer.write(encode(alert) + b"\n")
