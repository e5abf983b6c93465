"""The commands about the read model in Redis."""

import sys

import typer

from streams.cli_output import AsJson, print_json

rebuild = typer.Typer(help="Makes what is derived from the topics anew.", no_args_is_help=True)


@rebuild.callback()
def only_by_name() -> None:
    """So that `redis` is a command of its own also while it is the only one."""


@rebuild.command()
def redis(*, as_json: AsJson = False) -> None:
    """Make the read model in Redis anew, from all that the topics hold; workers may run meanwhile."""
    from streams.rebuild import rebuild_redis
    from streams.settings import load_settings

    done = rebuild_redis(load_settings(), bar=sys.stderr.isatty())
    typer.echo(str(done), err=as_json)
    if as_json:
        print_json(done.as_json())
    if done.refused:
        raise typer.Exit(1)
