"""The command `churnwatch`: it only wires. Each command calls a function of its module, imported when it is called.

Results go to standard output, progress and logs to standard error. The exit status is 0, 1 if something was found or
failed, 2 if what was given cannot be used.
"""

import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from streams import (
    cli_alerts,
    cli_dlq,
    cli_evaluate,
    cli_feed,
    cli_history,
    cli_mapping,
    cli_model,
    cli_redis,
    cli_risk,
    cli_route,
    cli_rules,
    cli_sources,
    cli_storm,
)
from streams.cli_output import AsJson, print_json

if TYPE_CHECKING:
    from streams.settings import Role, Settings

FAILED: Final = 1
UNUSABLE: Final = 2
# By name, so that nothing is imported to look for errors that did not happen.
_UNUSABLE: Final = frozenset(
    {"SettingsError", "RulesFileError", "RoutesFileError", "MappingError", "TableError", "TopicNotFound"}
    | {"SourcesError", "ReplayError"}
)
_FAILED: Final = frozenset(
    {"TopicsError", "ImportRefused", "ExportRefused", "PublishRefused", "DemoError", "KafkaError", "ContractError"}
    | {
        "AlertNotFound",
        "ActionRefused",
        "DlqError",
        "FeedRefused",
        "StormRefused",
        "RebuildRefused",
        "RisksNotFound",
        "RulesNotFound",
        "ModelNotFound",
        "PinRefused",
        "RegistrySilent",
        "SourceRefused",
    }
)

app = typer.Typer(
    help="Order, login and ticket events in, explained alerts out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(cli_rules.app, name="rules")
app.add_typer(cli_mapping.app, name="mapping")
app.add_typer(cli_model.app, name="model")
app.add_typer(cli_feed.app, name="feed")
app.add_typer(cli_sources.app, name="sources")
app.add_typer(cli_route.app, name="route")
app.add_typer(cli_dlq.app, name="dlq")
app.add_typer(cli_storm.app, name="storm")
app.add_typer(cli_redis.rebuild, name="rebuild")
app.add_typer(cli_risk.app, name="risk")
cli_alerts.add_commands(app)
cli_history.add_commands(app)
cli_evaluate.add_commands(app)


def main() -> int:
    """Run a command; returns the exit status where the command line parser has not ended the process itself."""
    try:
        app()
    except Exception as error:
        names = {kind.__name__ for kind in type(error).__mro__}
        unusable = bool(names & _UNUSABLE) or isinstance(error, OSError)
        if not unusable and not names & _FAILED:
            raise
        typer.echo(_says(error, names), err=True)
        return UNUSABLE if unusable and "KafkaError" not in names else FAILED
    return 0


def _tell_version(wanted: bool) -> None:  # noqa: FBT001 - as typer calls it
    if wanted:
        from streams.version import version_json

        typer.echo(version_json().decode())
        raise typer.Exit


@app.callback()
def before_any_command(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Say which release this is.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    """See to it that standard output has results alone."""
    from streams.logs import configure_command_logging

    del version  # said, if it was asked for
    configure_command_logging()


@app.command()
def demo(
    *,
    as_json: AsJson = False,
    seconds: Annotated[float, typer.Option(help="How long the shop's half year takes, if the machine can follow.")] = 40.0,
    customers: Annotated[int, typer.Option(min=50, max=5_000, help="How many the shop has.")] = 360,
    seed: Annotated[int, typer.Option(help="Another seed is another shop.")] = 7,
) -> None:
    """Show a simulated shop, all agents, a broker and a Valkey; ends by itself."""
    from streams.demo import Options, run_demo
    from streams.simulate import Shop

    summary = run_demo(Options(shop=Shop(seed=seed, customers=customers), paced_s=seconds))
    typer.echo(str(summary), err=as_json)
    if as_json:
        print_json(summary.as_json())


@app.command()
def worker(
    roles: Annotated[
        list[str] | None,
        typer.Option("--role", help="ingest, detect, learn, clock, deliver, door; all if none, the door where it has a port."),
    ] = None,
) -> None:
    """Run the agents until SIGTERM or Ctrl-C."""
    from streams.worker import run_worker

    run_worker(_settings(), _roles(roles or []))


@app.command()
def topics(
    *,
    acls: Annotated[bool, typer.Option("--acls", help="Print what each role must be allowed, and do nothing.")] = False,
    principal: Annotated[str, typer.Option(help="With --acls: who a role is; `{role}` is filled in.")] = "User:churn-{role}",
    as_json: AsJson = False,
) -> None:
    """Create the topics that are missing, and check the others."""
    from streams.sources import load_sources
    from streams.topics import ensure_topics

    settings = _settings()
    if acls:
        _print_acls(settings, principal, as_json=as_json)
        return
    created = ensure_topics(settings, [source.topic for source in load_sources(settings)])
    if as_json:
        print_json({"created": created})
    else:
        typer.echo("\n".join(f"created {name}" for name in created) or "all topics are there, as they must be")


def _print_acls(settings: "Settings", principal: str, *, as_json: bool) -> None:
    from streams.rights import acl_commands, rights_of
    from streams.sources import load_sources

    roles, sources = settings.usual_roles(), load_sources(settings)
    if as_json:
        print_json({"rights": [right.as_json() for role in roles for right in rights_of(settings, role, sources)]})
    else:
        typer.echo("\n".join(acl_commands(settings, roles, sources, principal)))


@app.command()
def broker(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: chosen by the operating system.")] = 9092,
    partitions: Annotated[int, typer.Option(help="Of a topic that does not say.")] = 4,
) -> None:
    """Run the development broker: everything is in memory, and gone when it ends."""
    from streams.devbroker.process import main as serve

    raise typer.Exit(serve(["--host", host, "--port", str(port), "--default-partitions", str(partitions)]))


@app.command()
def doctor(*, as_json: AsJson = False) -> None:
    """Look at settings, broker, topics, retention and Redis, and say what to do."""
    from streams.doctor import examine
    from streams.finding import Finding
    from streams.settings import SettingsError

    try:
        findings = examine(_settings())
    except SettingsError as faults:
        findings = [Finding("settings", good=False, says=line) for line in str(faults).splitlines()]
    if as_json:
        print_json({"findings": [{"check": item.check, "good": item.good, "says": item.says} for item in findings]})
    else:
        for item in findings:
            typer.echo(f"{'ok ' if item.good else 'BAD'} {item.check:<9} {item.says}")
    if not all(item.good for item in findings):
        raise typer.Exit(FAILED)


@app.command()
def schemas(
    out: Annotated[Path | None, typer.Option(help="Folder to write them to; by default where the package has them.")] = None,
) -> None:
    """Write the JSON Schema of every record, and the AsyncAPI description of every topic."""
    from schemas.json_schema import DIRECTORY, write
    from streams.asyncapi import FILE
    from streams.asyncapi import write as write_asyncapi

    folder = FILE.parent if out is None else out
    paths = [*write(folder / DIRECTORY.name), write_asyncapi(folder / FILE.name)]
    typer.echo("\n".join(str(path) for path in paths))


def _says(error: Exception, names: Collection[str]) -> str:
    """What went wrong. Both Kafka clients say of a broker that is away only that they could not begin."""
    if "KafkaError" in names and "Unable to bootstrap" in str(error):
        from streams.kafka_trouble import trouble

        return trouble(_settings())
    return str(error) or repr(error)


def _settings() -> "Settings":
    from streams.settings import load_settings

    return load_settings()


def _roles(names: list[str]) -> "tuple[Role, ...]":
    from streams.settings import ROLES

    unknown = [name for name in names if name not in ROLES]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is no role: {', '.join(ROLES)}")
    return tuple(role for role in ROLES if role in names)


if __name__ == "__main__":
    sys.exit(main())
