"""How often Python looks for garbage that reference counts do not find."""

import gc
from typing import Final

_NEW_OBJECTS: Final = 50_000


def look_seldom() -> None:
    """Look when so many new objects are held, instead of 700.

    Customers are made of many small objects that come and go, and hold no cycles. A look walks over them, and one in a
    hundred over all that there are. What makes cycles (exceptions, tasks) is little, and found some milliseconds later.
    """
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
