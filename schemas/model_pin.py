"""Which model people hold in force, and who decided so: one record of the model topic."""

from typing import Annotated, Literal

import msgspec

from schemas.events import EpochMs, Id


class ModelAction(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody went back to an older model, or let the newest one in again."""

    action: Literal["rollback", "resume"]
    version: Id
    """The model that was gone back to, or that was held until now."""
    at_ms: EpochMs
    by: Id
    why: Annotated[str, msgspec.Meta(max_length=512)] = ""


class ModelPin(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was decided so far; the last decision holds."""

    actions: list[ModelAction] = []
    """From the first to the last."""

    @property
    def held(self) -> ModelAction | None:
        """The roll-back that holds; None while each new model comes in force."""
        return self.actions[-1] if self.actions and self.actions[-1].action == "rollback" else None
