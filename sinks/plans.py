"""The plan of a recipient, by its kind."""

from sinks.plan_machine import MachinePlan
from sinks.plan_people import PeoplePlan
from sinks.routes import Recipient, Routes
from sinks.steps import Plan, Write
from sinks.storms import Known


def plan_for(recipient: Recipient, routes: Routes, write: Write, customers: Known) -> Plan:
    """A plan that has told nothing yet.

    Args:
        recipient: one of the file's.
        routes: the file.
        write: puts words in; machines get none.
        customers: how many there are, as far as is known: a storm may be a share of them.
    """
    if recipient.audience == "machine":
        return MachinePlan(recipient.name, routes)
    return PeoplePlan(recipient, routes, write, customers)
