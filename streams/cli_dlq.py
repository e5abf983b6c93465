"""The commands `churnwatch dlq ...`: what could not be used, and how it comes in after a mend."""

import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from streams.cli_output import AsJson, print_answer

if TYPE_CHECKING:
    from streams.dlq_search import Wanted

_NOT_ALL: Final = 1
_NUMBERS: Final = 2
"""Of a position: partition and offset."""

Reason = Annotated[list[str] | None, typer.Option(help="Of this reason, like no_customer; may be given again.")]
SourceTopic = Annotated[list[str] | None, typer.Option(help="Out of this topic, by its full name; may be given again.")]
Since = Annotated[str | None, typer.Option(help="Refused at or after an instant, or within a duration before now (P1D).")]
Until = Annotated[str | None, typer.Option(help="Refused before an instant, or before so long ago.")]

app = typer.Typer(help="Look at dead letters, and let them in after a mend.", no_args_is_help=True)


@app.command("list")
def list_(
    *,
    reason: Reason = None,
    source: SourceTopic = None,
    since: Since = None,
    until: Until = None,
    examples: Annotated[int, typer.Option(min=0, max=1_000, help="How many of the newest are shown.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Count dead letters by reason, source and stage, and by day; with the newest."""
    from streams.dlq_list import overview
    from streams.settings import load_settings

    found = overview(load_settings(), _wanted(reason, source, since, until), examples)
    print_answer(found, as_json=as_json)


@app.command()
def show(
    position: Annotated[str, typer.Argument(metavar="POSITION", help="Where the record stood first, like orders/3/17.")],
    *,
    raw: Annotated[bool, typer.Option("--raw", help="Only the record's bytes, as they were kept.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show all that is known of a record that was refused, and the record."""
    from streams.dlq_show import show as shown
    from streams.settings import load_settings

    if not _is_position(position):
        raise typer.BadParameter(f"{position!r} is no position: TOPIC/PARTITION/OFFSET is wanted, like orders/3/17")
    found = shown(load_settings(), position)
    if raw:
        sys.stdout.buffer.write(found.raw)
    else:
        print_answer(found, as_json=as_json)


@app.command()
def redrive(  # noqa: PLR0913 - the options of a command
    *,
    reason: Reason = None,
    source: SourceTopic = None,
    since: Since = None,
    until: Until = None,
    all_: Annotated[bool, typer.Option("--all", help="All there are.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also what was redriven and not refused since.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let the records of dead letters in, once their mapping or their source is mended; run again, it goes on."""
    from streams.dlq_redrive import plan
    from streams.dlq_redrive import redrive as redriven
    from streams.import_progress import showing
    from streams.settings import load_settings

    wanted = _wanted(reason, source, since, until)
    if wanted.everything != all_:
        raise typer.BadParameter("say which: --reason, --source, --since or --until, or else --all of them")
    settings = load_settings()
    planned = plan(settings, wanted, again=again)
    typer.echo(str(planned), err=True)
    if planned.offsets and not yes and not typer.confirm(f"redrive {len(planned.offsets)} records?", err=True):
        raise typer.Exit(_NOT_ALL)
    with showing(sys.stderr.isatty()) as advance:
        outcome = redriven(settings, planned, advance)
    print_answer(outcome, as_json=as_json)
    if not outcome.complete:
        raise typer.Exit(_NOT_ALL)


def _wanted(reasons: list[str] | None, sources: list[str] | None, since: str | None, until: str | None) -> "Wanted":
    from streams.dlq_search import Wanted

    since_ms, until_ms = _instant(since), _instant(until)
    if since_ms is not None and until_ms is not None and until_ms <= since_ms:
        raise typer.BadParameter("--until is not after --since: nothing lies between")
    return Wanted(frozenset(reasons or ()), frozenset(sources or ()), since_ms, until_ms)


def _instant(text: str | None) -> int | None:
    from schemas.errors import ContractError
    from schemas.instants import exact_ms, parse_instant
    from streams.wallclock import now_ms

    if text is None:
        return None
    try:
        return now_ms() - exact_ms(text) if text.startswith("P") else parse_instant(text)
    except ContractError as error:
        raise typer.BadParameter(error.message) from None


def _is_position(text: str) -> bool:
    """The name of a file, which letters of an import have for a topic, may have a slash in it."""
    topic, *numbers = text.rsplit("/", 2)
    return bool(topic) and len(numbers) == _NUMBERS and all(number.isdecimal() for number in numbers)
