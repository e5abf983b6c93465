"""What the commands `churnwatch model ...` say, for people and for machines."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from schemas.control import ModelPublished
from schemas.instants import format_instant
from schemas.model_pin import ModelAction
from schemas.models import ModelDocument

_UNREADABLE: Final = "cannot be read by this release"
_DONE: Final = {"rollback": "went back to", "resume": "let go of"}


@dataclass(frozen=True, slots=True)
class InForce:
    """The model that the workers have, and its place in `churn.control`."""

    model: ModelPublished
    revision: int
    since_ms: int

    def __str__(self) -> str:
        return f"{self.model.version}, revision {self.revision}, since {format_instant(self.since_ms)}"

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {"version": self.model.version, "revision": self.revision, "since_ms": self.since_ms}


@dataclass(frozen=True, slots=True)
class Models:
    """All that are kept, the newest first; None stands for one that this release cannot read."""

    in_force: InForce | None
    kept: tuple[tuple[str, ModelPublished | None], ...]
    actions: tuple[ModelAction, ...]
    held: ModelAction | None

    def __str__(self) -> str:
        lines = [f"in force: {self.in_force or 'none'}{', held until `churnwatch model resume`' if self.held else ''}"]
        lines += ["kept, the newest first:" if self.kept else "none is kept that one could go back to"]
        width = max((len(version) for version, _ in self.kept), default=0)
        lines += [f"{self._mark(version)} {version:<{width}}  {_summary(model)}" for version, model in self.kept]
        if self.actions:
            lines += ["decided by people, the latest first:", *(f"  {told(action)}" for action in reversed(self.actions))]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """For machines: everything but the weights."""
        return {
            "in_force": self.in_force.as_json() if self.in_force else None,
            "held": self.held.version if self.held else None,
            "kept": [{"version": version, **_plain_summary(model)} for version, model in self.kept],
            "actions": msgspec.to_builtins(self.actions),
        }

    def _mark(self, version: str) -> str:
        return "*" if self.in_force is not None and version == self.in_force.model.version else " "


@dataclass(frozen=True, slots=True)
class Shown:
    """One model."""

    model: ModelPublished

    def __str__(self) -> str:
        document = self.model.document
        lines = [f"{self.model.version}: {_summary(self.model)}", f"trained with {document.library}", "quality:"]
        lines += [f"  {name} {_value(value)}" for name, value in msgspec.to_builtins(document.quality).items()]
        lines += [f"weights of the standardised features, the heaviest first; intercept {document.intercept:.4f}:"]
        return "\n".join(lines + _weights(document))

    def as_json(self) -> dict[str, Any]:
        """For machines: the whole record."""
        plain: dict[str, Any] = msgspec.to_builtins(self.model)
        return plain


@dataclass(frozen=True, slots=True)
class Changed:
    """What was decided, and what is in force now."""

    action: ModelAction
    in_force: InForce

    def __str__(self) -> str:
        held = self.action.action == "rollback"
        then = "it is held there until `churnwatch model resume`" if held else "each new model comes in force by itself again"
        rules = "" if self.in_force.model.document.usable else "; it may not decide, so rules alone do"
        return f"in force: {self.in_force}; {then}{rules}"

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {**msgspec.to_builtins(self.action), "in_force": self.in_force.as_json()}


def told(action: ModelAction) -> str:
    """A decision in one line."""
    why = f": {action.why}" if action.why else ""
    return f"{format_instant(action.at_ms)}  {action.by} {_DONE[action.action]} {action.version}{why}"


def _summary(model: ModelPublished | None) -> str:
    if model is None:
        return _UNREADABLE
    quality = model.document.quality
    decides = "may decide" if model.document.usable else "rules alone decide"
    return (
        f"{quality.examples} examples, {quality.churned} churned, AUC {quality.auc:.3f}, "
        f"log loss {quality.log_loss:.3f} against {quality.base_log_loss:.3f} of the base rate, {decides}"
    )


def _plain_summary(model: ModelPublished | None) -> dict[str, Any]:
    if model is None:
        return {"readable": False}
    document = model.document
    return {"readable": True, "usable": document.usable, "quality": msgspec.to_builtins(document.quality)}


def _weights(document: ModelDocument) -> list[str]:
    width = max((len(name) for name in document.features), default=0)
    pairs = sorted(zip(document.features, document.weights, strict=True), key=lambda pair: (-abs(pair[1]), pair[0]))
    return [f"  {name:<{width}}  {weight:+.4f}" for name, weight in pairs]


def _value(value: Any) -> str:  # noqa: ANN401 - whatever the quality has
    if isinstance(value, dict):
        return ", ".join(f"{name} {_value(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
