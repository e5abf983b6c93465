"""The commands `churnwatch model ...`: look at the models, and go back to an older one."""

from typing import Annotated

import typer

from streams.cli_output import AsJson, print_answer

Version = Annotated[str, typer.Argument(help="As `list` shows it.")]
By = Annotated[str, typer.Option(help="Who does it, for the trail.", envvar="USER")]
Why = Annotated[str, typer.Option(help="For the trail.")]

app = typer.Typer(help="Look at the models, and go back to an older one.", no_args_is_help=True)


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """Show the models that are kept, which is in force, and who went back to one."""
    from streams.model_command import list_models
    from streams.settings import load_settings

    print_answer(list_models(load_settings()), as_json=as_json)


@app.command()
def show(
    version: Annotated[str | None, typer.Argument(help="As `list` shows it; by default the one in force.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show one model: quality and weights."""
    from streams.model_command import show_model
    from streams.settings import load_settings

    print_answer(show_model(load_settings(), version), as_json=as_json)


@app.command()
def rollback(version: Version, *, by: By = "unknown", why: Why = "", as_json: AsJson = False) -> None:
    """Put an older model in force at once, and hold it; learning goes on."""
    from streams.model_command import rollback as gone_back
    from streams.settings import load_settings

    print_answer(gone_back(load_settings(), version, by=by, why=why), as_json=as_json)


@app.command()
def resume(*, by: By = "unknown", why: Why = "", as_json: AsJson = False) -> None:
    """Put the newest model in force, and let new ones follow."""
    from streams.model_command import resume as resumed
    from streams.settings import load_settings

    print_answer(resumed(load_settings(), by=by, why=why), as_json=as_json)
