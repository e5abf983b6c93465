"""Tables for people."""

from collections.abc import Iterator, Sequence


def in_columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A line for each row; what stands under each other begins under each other.

    >>> list(in_columns([("topic", "behind"), ("shop.orders", "3")]))
    ['topic        behind', 'shop.orders  3']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
