"""The job on Quix Streams: state in RocksDB with its changelog, exactly once."""

import os
from typing import Any

from benchmarks.peers.job_logic import take
from quixstreams import Application, State  # type: ignore[import-not-found]

ENV = os.environ


def detect(event: dict[str, Any], state: State) -> dict[str, Any] | None:
    """One event of the customer whose state it is."""
    after, alert = take(state.get("customer"), event)
    state.set("customer", after)
    return alert


def main() -> None:
    """Run until SIGTERM."""
    app = Application(
        broker_address=ENV["BOOTSTRAP"],
        consumer_group=ENV["GROUP"],
        auto_offset_reset="earliest",
        state_dir=ENV["STATE_DIRECTORY"],
        processing_guarantee="exactly-once",
        commit_interval=float(ENV["COMMIT_S"]),
        commit_every=int(ENV["COMMIT_EVENTS"]),
        producer_extra_config={"linger.ms": ENV["LINGER_MS"]},
        loglevel="WARNING",
    )
    events = app.topic(ENV["INPUT"], value_deserializer="json")
    alerts = app.topic(ENV["OUTPUT"], value_serializer="json")
    frame = app.dataframe(events).apply(detect, stateful=True)
    frame.filter(lambda alert: alert is not None).to_topic(alerts)
    app.run()


if __name__ == "__main__":
    main()
