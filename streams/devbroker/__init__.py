"""A Kafka broker in pure Python, in memory: for development, demonstrations and tests.

`server.DevBroker` runs one inside an event loop, `process.spawn_broker` in a process of its own. The wire format is
kafka-python's: its message codecs are internal to that library, so its version is pinned.
"""
