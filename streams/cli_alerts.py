"""The commands about single alerts and customers: why there is an alert, and what people do about it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from schemas.events import Verdict
from streams.cli_output import AsJson, print_answer

if TYPE_CHECKING:
    from streams.actions import Desk

AlertId = Annotated[str, typer.Argument(metavar="ALERT_ID", help="An alert's id, or its first 8 characters or more.")]
By = Annotated[str, typer.Option(help="Who does it.", envvar="USER")]

NOT_ERASED: Final = (
    "Erasing takes the customer out of the state, of alerts, risks and stages, of Redis and of the archive; older events "
    "do not bring the customer back, and churn.erasures keeps the proof. It does not reach what is only kept for a time: "
    "events in the log and in the source topics, dead letters and what was redriven of them, alerts in shadow mode, matured "
    "training examples. They go with the retention of their topics."
)


def add_commands(app: typer.Typer) -> None:
    """Put the commands of this module into the command line."""
    for command in (explain, ack, snooze, assign, note, judge, erase):
        app.command()(command)


def explain(
    alert_id: AlertId,
    *,
    file: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Alert records as `replay` prints them, in place of the topics.", exists=True, dir_okay=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say why there is an alert: what happened, clause by clause, from which records, and what would close it."""
    from streams.alert_lookup import in_file, in_topics
    from streams.explain import Explanation
    from streams.settings import load_settings

    found = in_file(file, alert_id) if file is not None else in_topics(load_settings(), alert_id, ("alerts", "shadow"))
    explanation = Explanation(found)
    print_answer(explanation, as_json=as_json)


def ack(alert_id: AlertId, *, by: By = "unknown", as_json: AsJson = False) -> None:
    """Take care of an alert, so that it is not escalated."""
    print_answer(_desk(by).ack(alert_id), as_json=as_json)


def snooze(
    alert_id: AlertId,
    *,
    until: Annotated[str | None, typer.Option(help="An instant, like 2026-01-31T08:00:00+08:00.")] = None,
    for_: Annotated[str | None, typer.Option("--for", help="From now on, like PT8H or P3D.")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="From now on, so many days.")] = None,
    by: By = "unknown",
    as_json: AsJson = False,
) -> None:
    """Put an alert off: then it is looked at again."""
    from schemas.errors import ContractError
    from schemas.instants import DAY_MS, exact_ms, parse_instant

    if sum(given is not None for given in (until, for_, days)) != 1:
        raise typer.BadParameter("say how long, in one way: --until, --for or --days")
    try:
        until_ms = None if until is None else parse_instant(until)
        for_ms = (days or 0) * DAY_MS if for_ is None else exact_ms(for_)
    except ContractError as error:
        raise typer.BadParameter(error.message) from None
    print_answer(_desk(by).snooze(alert_id, until_ms=until_ms, for_ms=for_ms), as_json=as_json)


def assign(
    alert_id: AlertId,
    *,
    to: Annotated[str, typer.Option(help="Who shall take care of it.")],
    by: By = "unknown",
    as_json: AsJson = False,
) -> None:
    """Give an alert to somebody."""
    print_answer(_desk(by).assign(alert_id, to), as_json=as_json)


def note(
    alert_id: AlertId,
    *,
    text: Annotated[str, typer.Option(help="The remark.")],
    by: By = "unknown",
    as_json: AsJson = False,
) -> None:
    """Remark on an alert, also on a closed one."""
    print_answer(_desk(by).note(alert_id, text), as_json=as_json)


def judge(
    alert_id: AlertId,
    *,
    verdict: Annotated[Verdict, typer.Option(help="Saved and lost: it was right, and the customer stayed, or left.")],
    by: By = "unknown",
    as_json: AsJson = False,
) -> None:
    """Say whether an alert, also a closed one, was right; the metrics count it by rule."""
    print_answer(_desk(by).judge(alert_id, verdict), as_json=as_json)


def erase(
    customer_id: Annotated[str, typer.Argument(metavar="CUSTOMER_ID", help="Whom to forget.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget a customer: state, alerts, risks, stages and profiles. This cannot be undone."""
    typer.echo(NOT_ERASED, err=True)
    if not yes:
        typer.confirm(f"erase customer {customer_id}?", abort=True, err=True)
    print_answer(_desk("-").erase(customer_id), as_json=as_json)


def _desk(by: str) -> "Desk":
    from streams.actions import Desk
    from streams.settings import load_settings

    return Desk(load_settings(), by)
