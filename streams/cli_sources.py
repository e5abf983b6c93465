"""The commands `churnwatch sources ...`: which topics are read, and that one was deleted and made again."""

from typing import Annotated

import typer

from streams.cli_output import AsJson, print_json

app = typer.Typer(help="Which topics the events come from.", no_args_is_help=True)


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """Show every source: topic, feed, whether it is read, epoch, topic id, partitions, records behind."""
    from streams.settings import load_settings
    from streams.sources_command import as_table, list_sources

    seen = list_sources(load_settings())
    if as_json:
        print_json({"sources": [one.as_json() for one in seen]})
    else:
        typer.echo(as_table(seen))


@app.command()
def reset(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A topic, or a feed.")],
    *,
    epoch: Annotated[
        int | None, typer.Option(min=0, help="Go on with this number, if it was kept elsewhere; before anything is read.")
    ] = None,
    by: Annotated[str, typer.Option(help="Who says so, for the trail.", envvar="USER")] = "unknown",
    as_json: AsJson = False,
) -> None:
    """Say that a topic was deleted and made again on purpose: it is read from its first record, under the next epoch."""
    from streams.settings import load_settings
    from streams.sources_command import reset as reset_source
    from streams.sources_command import reset_in_words

    typer.echo(reset_in_words(reset_source(load_settings(), name, epoch=epoch, by=by), as_json=as_json))
