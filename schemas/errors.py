"""What goes wrong at the door, as one small tree.

ContractError            a record that breaks the contract: what, where, why
UnknownType          its `type` is not one of this release
"""


class ContractError(ValueError):
    """A record or document breaks the contract.

    Args:
        code: stable machine word, e.g. ``bad_json``; it becomes the dead letter's reason and a metric label.
        message: one sentence for people: what is wrong, where, what is allowed.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class UnknownType(ContractError):  # noqa: N818 - a name is a claim, and this one says it
    """The record is well formed, but its `type` is not known to this release."""

    def __init__(self, message: str) -> None:
        super().__init__("unknown_type", message)
