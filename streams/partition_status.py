"""How the partitions of a detect worker are doing, for readiness and metrics; read from another thread, written in the loop."""

import time
from dataclasses import dataclass, field
from typing import Literal, Protocol

from detectors.census import PartitionStanding
from streams.readiness import Obstacle
from streams.restore import RestoreProgress

Phase = Literal["fencing", "restoring", "working", "refused"]

_PENDING_IS_TROUBLE_S = 5.0
"""What the broker has not answered for so long is not going well, whatever it will say in the end."""


class Pending(Protocol):
    """Somebody who may be waiting for the broker."""

    @property
    def pending_since_s(self) -> float | None:
        """Since when, by the monotonic clock; None while nothing is pending."""

    @property
    def trouble(self) -> str:
        """What it waits for, in plain words, as far as that is known."""


@dataclass
class PartitionStatus:
    """One partition, from when the group gave it to this worker until it takes it away."""

    topic: str
    partition: int
    phase: Phase = "fencing"
    phase_since_s: float = field(default_factory=time.monotonic)
    progress: RestoreProgress = field(default_factory=RestoreProgress)
    failures: int = 0
    """In a row."""
    failing_since_s: float | None = None
    because: str = ""
    """Of the last failure, or of the refusal."""
    writer: Pending | None = None
    standing: PartitionStanding | None = None
    """As of the last commit; None: nothing was committed or restored yet."""

    def enter(self, phase: Phase) -> None:
        """Begin a phase."""
        self.phase, self.phase_since_s = phase, time.monotonic()

    def failed(self, reason: str) -> None:
        """Something did not go through, and will be tried again."""
        self.failures += 1
        self.because = reason
        if self.failing_since_s is None:
            self.failing_since_s = time.monotonic()

    def succeeded(self) -> None:
        """A transaction was committed."""
        self.failures, self.failing_since_s = 0, None

    def refuse(self, reason: str) -> None:
        """The partition is not worked on until an operator has done something."""
        self.because = reason
        self.enter("refused")

    def failing_s(self, now_s: float) -> float:
        """For how long nothing was committed because of failures, 0 if all is well."""
        since_s = self._failing_since_s(now_s)
        return 0.0 if since_s is None else now_s - since_s

    def restored_share(self) -> float:
        """How much of the state is here, from 0 to 1."""
        if self.phase == "restoring":
            return self.progress.share()
        return float(self.phase == "working")

    def obstacle(self, now_s: float) -> Obstacle | None:
        """Why this partition is not worked on, None if it is."""
        place = f"partition {self.partition} of {self.topic}"
        if self.phase == "refused":
            return self._obstacle("refused", now_s - self.phase_since_s, f"{place} is refused: {self.because}")
        if (since_s := self._failing_since_s(now_s)) is not None:
            return self._obstacle("transactions_failing", now_s - since_s, f"{place}: {self._trouble()}")
        if self.phase == "fencing":
            return self._obstacle("taking_over", now_s - self.phase_since_s, f"{place} is being taken over from its last owner")
        if self.phase == "restoring":
            says = f"{place}: {self.progress.says(now_s)}"
            return self._obstacle("restoring", now_s - self.phase_since_s, says, self.progress.eta_s(now_s))
        return None

    def _failing_since_s(self, now_s: float) -> float | None:
        if self.failing_since_s is not None:
            return self.failing_since_s
        pending_s = self.writer.pending_since_s if self.writer is not None else None
        return pending_s if pending_s is not None and now_s - pending_s > _PENDING_IS_TROUBLE_S else None

    def _trouble(self) -> str:
        """The last failure says more than what the attempt after it waits for, unless there was none."""
        if self.because and self.failing_since_s is not None:
            return f"{self.because}; tried {self.failures} times"
        return self.writer.trouble if self.writer is not None else ""

    def _obstacle(self, code: str, for_s: float, says: str, eta_s: float | None = None) -> Obstacle:
        return Obstacle("detect", code, says, for_s, partition=self.partition, eta_s=eta_s)
