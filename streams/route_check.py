"""`churnwatch route check`: what a file of routes says, in a few lines."""

from collections.abc import Iterator
from pathlib import Path

from sinks.routes import OWNER, Recipient, Route, Routes
from streams.routes_file import load_routes


def check(path: Path) -> str:
    """Who is told of what by a file; its secrets are not read.

    Raises:
        RoutesFileError: with every fault of the file.
        OSError: the file cannot be read.
    """
    routes = load_routes(path, reads_secrets=False)
    return "\n".join([f"{path}: {len(routes.routes)} routes, {len(routes.recipients)} recipients", *_lines(routes)])


def _lines(routes: Routes) -> Iterator[str]:
    width = max(len(name) for name in routes.recipients)
    for recipient in routes.recipients.values():
        kind = routes.destinations[recipient.destination].kind
        yield f"  {recipient.name:<{width}}  {kind:<12}  {_manners(recipient)}"
    yield from (f"  route {route.number} (line {route.line}): {_route(route)}" for route in routes.routes)
    unreached = sorted(set(routes.destinations) - {one.destination for one in routes.recipients.values()})
    if unreached:
        yield f"  reached by no route: {', '.join(unreached)}"


def _manners(recipient: Recipient) -> str:
    if recipient.audience == "machine":
        return "everything at once"
    manners, budget = recipient.manners, recipient.manners.budget
    said = "everything at once"
    if budget is not None:
        above = f" from {budget.above:g} at risk" if budget.above else ""
        first = f"the first {budget.at_once} of a day{above} at once" if budget.at_once else "what is critical at once"
        said = f"{first}, the rest at {manners.digest:%H:%M} {recipient.zone.key}"
    return said + (f", quiet hours in {recipient.zone.key}" if manners.quiet.spans else "")


def _route(route: Route) -> str:
    conditions = (("severity", route.severity), ("tier", route.tier), ("rule", route.rule), ("owner", route.owner))
    given = [f"{name} {' or '.join(sorted(values))}" for name, values in conditions if values is not None]
    otherwise = f" (otherwise {', '.join(route.otherwise)})" if OWNER in route.to and route.otherwise else ""
    on = ", and goes on" if route.goes_on else ""
    return f"{', '.join(given) or 'every alert'} to {', '.join(route.to)}{otherwise}{on}"
