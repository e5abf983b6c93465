"""What a language needs to say an alert: a text for each code, and the small words between them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Lexicon:
    """Templates; what stands in braces is filled in."""

    clauses: Mapping[str, str]
    """For each code of a clause, with `value` and `threshold`."""
    reasons: Mapping[str, str]
    """Why ingest does not read a source; the log of the worker says what to do."""
    states: Mapping[str, str]
    """What happened, with `because`, `by`, `who` and `until`; a state that is missing is said by its clauses alone."""
    clears: Mapping[str, str]
    """What would close an alert, by code."""
    features: Mapping[str, tuple[str, str]]
    """How a feature is said, and how while nothing is known to compare it with; one that is missing is said as in the
    table of features."""
    duration: Callable[[int], str]
    """Milliseconds in their largest unit."""
    months: Callable[[int], str]
    comma: str
    limit: str
    """Behind a clause that has no text of its own."""
    its_limit: str
    by_itself: str
    none_open: str
    alternatives: str
    them: str
    only: str
    times: str
    then: str
    or_at: str
    ticket: str
    contract: str
    customer: str
    event: str
