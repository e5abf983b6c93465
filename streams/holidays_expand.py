"""Public holidays as plain dates, written into a calendar when it is published.

The `holidays` library runs here and nowhere else: what it says becomes part of a document, so that another
release of it changes nothing that was decided.
"""

from collections.abc import Iterable
from typing import Final

import holidays

from schemas.errors import ContractError

CODE: Final = "bad_holidays"


def expand_holidays(country: str, years: Iterable[int]) -> tuple[list[str], list[str]]:
    """The public holidays of some years, and the weekend days worked in exchange; both ISO dates, sorted.

    Args:
        country: ISO 3166 code, of a country (`CN`) or of one of its parts (`DE-BY`).
        years: the years wanted. Past `published_until` the library computes the days that the law fixes, and
            knows of no exchange.

    >>> off, on = expand_holidays("CN", [2026])
    >>> "2026-02-17" in off, "2026-02-14" in on
    (True, True)

    Raises:
        ContractError: a country or part that the library does not have, or a year it cannot compute.
    """
    wanted = set(years)
    # A decree of January may exchange a day of the December before: the make-up day is in the data of the next year.
    found = _holidays_of(country, wanted | {year + 1 for year in wanted})
    if beyond := sorted(year for year in wanted if not found.start_year <= year <= found.end_year):
        raise ContractError(CODE, f"{country} in {beyond[0]}: holidays are known from {found.start_year} to {found.end_year}")
    days_off = {day for day in found if day.year in wanted}
    worked = {day for day in found.weekend_workdays if day.year in wanted} - days_off
    return sorted(map(str, days_off)), sorted(map(str, worked))


def known_years(country: str) -> range:
    """The years for which the library can compute a country's holidays.

    Raises:
        ContractError: a country or part that the library does not have.
    """
    found = _holidays_of(country, ())
    return range(found.start_year, found.end_year + 1)


def published_until(country: str) -> int | None:
    """The last year whose exchanges of working days the library holds; None where none are made.

    China's State Council publishes each November what holds for the next year: past the year given here the
    statutory days are computed, but which weekends are worked is not known. Where exchanges are decreed now and
    then only (Armenia), this is the year of the last one, so it errs towards a warning.

    >>> published_until("DE") is None
    True

    Raises:
        ContractError: as `expand_holidays`.
    """
    found = _holidays_of(country, ())
    if not found.has_substituted_holidays:
        return None
    decrees: dict[int, object] = getattr(found, "special_public_holidays", {})
    return max((year for year, days in decrees.items() if _exchanges(days)), default=None)


def _holidays_of(country: str, years: Iterable[int]) -> holidays.HolidayBase:
    code, _, part = country.partition("-")
    allowed = holidays.list_supported_countries(include_aliases=True)
    parts = allowed.get(code)
    if parts is None:
        countries = ", ".join(sorted(name for name in allowed if len(name) == 2))
        raise ContractError(CODE, f"{country!r}: no holidays are known for {code!r}; allowed are {countries}")
    if "-" in country and part not in parts:
        raise ContractError(CODE, f"{country!r}: {code} has no part {part!r}; allowed are {', '.join(parts) or 'none'}")
    return holidays.country_holidays(code, subdiv=part or None, years=sorted(years), expand=False)


def _exchanges(days: object) -> bool:
    """Whether a year's decree moves days: a day off for a day worked has four numbers or more, a single day three."""
    if not isinstance(days, tuple):
        return False
    rows = days if days and isinstance(days[0], tuple) else (days,)
    return any(len(row) != 3 for row in rows)
