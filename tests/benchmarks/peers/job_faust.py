"""The job on stock Faust: one agent, one table in memory with its changelog, written at each event; at least once."""

import os
import sys

import faust
from benchmarks.peers.job_logic import take

ENV = os.environ
app = faust.App(
    ENV["GROUP"],
    broker=f"kafka://{ENV['BOOTSTRAP']}",
    store="memory://",
    datadir=ENV["STATE_DIRECTORY"],
    topic_partitions=4,
    topic_disable_leader=True,
    web_enabled=False,
    broker_max_poll_records=int(ENV["POLL_RECORDS"]) if ENV["POLL_RECORDS"] else None,
    broker_check_crcs=False,
    stream_buffer_maxsize=int(ENV["BUFFER_EVENTS"]),
    producer_linger=float(ENV["LINGER_S"]),
    producer_max_batch_size=int(ENV["BATCH_BYTES"]),
    consumer_auto_offset_reset="earliest",
)
events = app.topic(ENV["INPUT"], key_type=str, key_serializer="raw", value_serializer="json")
alerts = app.topic(ENV["OUTPUT"], key_type=str, key_serializer="raw", value_serializer="json")
customers = app.Table("customers", partitions=4, key_type=str, value_type=dict)


@app.agent(events)
async def detect(stream: faust.StreamT[dict[str, object]]) -> None:
    async for event in stream:
        customer_id = str(event["customer_id"])
        customers[customer_id], alert = take(customers.get(customer_id), event)
        if alert is not None:
            await alerts.send(key=customer_id, value=alert)


if __name__ == "__main__":
    sys.argv = ["faust", "worker", "--loglevel", "warn", "--without-web"]
    app.main()
