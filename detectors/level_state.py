"""What is remembered for `level` rules."""

import msgspec


class Level(msgspec.Struct, array_like=True):
    """State of one `level` rule for one customer."""
