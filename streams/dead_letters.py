"""How a dead letter is written: the original bytes as the value, where and why in the headers."""

import hashlib
from typing import Final

from schemas.decisions import DeadLetter
from streams.transactions import Row

MAX_VALUE_BYTES: Final = 900_000
"""A longer value is cut, so that the letter fits into the topic: then its length and digest stand in the headers."""


def dead_letter_row(letter: DeadLetter) -> Row:
    """The record of `churn.deadletters` for a letter; the key is the position of the source record."""
    headers = {
        "reason": letter.reason,
        "message": letter.message,
        "stage": letter.stage,
        "topic": letter.topic,
        "partition": str(letter.partition),
        "offset": str(letter.offset),
    }
    if len(letter.value) > MAX_VALUE_BYTES:
        headers["length"] = str(len(letter.value))
        headers["sha256"] = hashlib.sha256(letter.value).hexdigest()
    return Row(
        f"{letter.topic}/{letter.partition}/{letter.offset}".encode(),
        letter.value[:MAX_VALUE_BYTES],
        [(name, text.encode()) for name, text in headers.items()],
    )
