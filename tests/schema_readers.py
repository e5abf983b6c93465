"""What reads the records of each schema."""

from collections.abc import Callable, Mapping

import msgspec

from schemas.codec import (
    decode_arrivals,
    decode_decision,
    decode_heartbeat,
    decode_ledger,
    decode_line,
    decode_record,
    decode_source_epoch,
)
from streams.model_store import decode_pin

READERS: Mapping[str, Callable[[bytes], msgspec.Struct]] = {
    "alerts": decode_decision,
    "arrivals": decode_arrivals,
    "control": decode_record,
    "deliveries": decode_ledger,
    "erasures": decode_decision,
    "events": decode_record,
    "examples": decode_decision,
    "lifecycle": decode_decision,
    "model_pins": decode_pin,
    "progress": decode_heartbeat,
    "risk": decode_decision,
    "source": decode_line,
    "source_epochs": decode_source_epoch,
}
