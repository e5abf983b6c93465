"""Time zones: their pinned rules, and which instant a clock on the wall means."""

from datetime import datetime
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from schemas.errors import ContractError
from schemas.instants import to_epoch_ms


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(files("tzdata").joinpath("zones").read_text("ascii").split())


@cache
def load_zone(name: str) -> ZoneInfo:
    """The rules of a time zone, from the pinned `tzdata` package.

    Not `ZoneInfo(name)`: that prefers the machine's own files, and two machines may then decide differently.

    >>> load_zone("Europe/Berlin").key
    'Europe/Berlin'

    Raises:
        ContractError: no such zone.
    """
    if name not in _zone_names():
        raise ContractError("bad_zone", f"{name!r} is not a time zone: write an IANA name, like Europe/Berlin or UTC")
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


def from_wall_clock(wall: datetime, zone: ZoneInfo) -> int:
    """The instant at which the clocks of a zone show `wall` (naive).

    A time that the zone skips moves forward by the gap; of one that it repeats, the first is meant.

    >>> from schemas.instants import from_epoch_ms
    >>> berlin = load_zone("Europe/Berlin")
    >>> from_epoch_ms(from_wall_clock(datetime(2026, 3, 29, 2, 30), berlin)).astimezone(berlin).isoformat()
    '2026-03-29T03:30:00+02:00'
    >>> from_epoch_ms(from_wall_clock(datetime(2026, 10, 25, 2, 30), berlin)).astimezone(berlin).isoformat()
    '2026-10-25T02:30:00+02:00'
    """
    # fold=0 is the offset before the change, in a gap as in a repeat: that is both halves of the rule.
    return to_epoch_ms(wall.replace(tzinfo=zone, fold=0))


def midnight_ms(date: str, zone: ZoneInfo) -> int:
    """The first instant of a local date, like `2026-02-15`; where the zone skips midnight, the first that there is.

    Raises:
        ValueError: no such date.
    """
    return from_wall_clock(datetime.fromisoformat(date), zone)
