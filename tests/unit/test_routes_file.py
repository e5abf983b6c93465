"""The file of routes: what it makes, and what is said about each fault."""

from datetime import time
from pathlib import Path

from sinks.routes import Budget
from streams.routes_file import load_routes

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy" / "routes.example.yaml"
HEAD = "destinations: {erp: {kind: alertmanager, url: http://a}, room: {kind: slack, url: 'env:SLACK'}}\n"
ROUTES = "routes: [{to: [erp]}]\n"


def test_the_example_loads_without_its_secrets() -> None:
    routes = load_routes(EXAMPLE, reads_secrets=False)
    assert sorted(routes.recipients) == ["ann", "ben", "erp", "pager", "room"]
    ann = routes.recipients["ann"]
    assert (ann.destination, ann.address, ann.is_person, ann.zone.key) == ("mail", "ann@example.com", True, "Asia/Shanghai")
    assert ann.manners.budget == Budget(at_once=10, above=500)
    assert ann.manners.digest == time(9, 30)
    assert routes.recipients["ben"].manners.budget == Budget(at_once=0)
    assert routes.recipients["room"].manners.budget is None
    assert routes.storm_limit("no-order-30d") != routes.storm_limit("another")
    assert routes.links is not None
    assert not routes.links.secrets[0].is_read
