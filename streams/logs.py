"""Logs: to standard error, one line an event; ours through structlog, the libraries' through the same formatter."""

import logging
import sys
from typing import Final

import structlog

# Below a warning libraries speak to their developers; `streams` is what mode calls our services when they start and stop.
_QUIET: Final = ("faust", "mode", "aiokafka", "asyncio", "streams")
# Kafka-python logs each attempt to connect as an error, and raises the last one: that one is told.
_SILENT: Final = ("kafka",)


def configure_logging(level: str) -> None:
    """Send the logs of this process to standard error.

    Args:
        level: least level of our own events; with `debug` libraries are heard in full, else only their warnings.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "logger", "event"], bool_as_flag=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for names, least in ((_QUIET, logging.WARNING), (_SILENT, logging.CRITICAL)):
        for name in names:
            logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else least)
