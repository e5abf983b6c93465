"""What is wrong with a record of `churn.state`, and with which."""


class StateError(Exception):
    """A record of the state cannot be read, is of a newer release, or is missing. Nothing may be decided on top of it.

    Args:
        key: of the record in `churn.state`.
        reason: what is wrong, to be read behind the key.
    """

    def __init__(self, key: bytes, reason: str) -> None:
        super().__init__(f"the state record {key.decode(errors='backslashreplace')!r} {reason}")
        self.key = key
        self.reason = reason
