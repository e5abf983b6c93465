"""Logs: to standard error, one line an event; ours through structlog, the libraries' through the same formatter."""

import logging
import math
import re
import sys
import time
from collections.abc import Callable
from typing import Any, Final, Literal

import orjson
import structlog

# Below a warning libraries speak to their developers; `streams` is what mode calls our services when they start and stop.
_QUIET: Final = ("faust", "mode", "aiokafka", "asyncio", "streams", "httpx2")
# Kafka-python logs each attempt to connect as an error, and raises the last one: that one is told.
_SILENT: Final = ("kafka",)
# Mode warns that a timer overlaps; that of the commits does while a broker does not answer, and nothing comes of it.
_ERRORS_ONLY: Final = ("mode.timers",)
_FIRST: Final = ("timestamp", "level", "logger", "event")
_TELL_AGAIN_AFTER_S: Final = 10.0
_BROKER: Final = re.compile(r"\b(?:node|node with id|node id|from|to) \[?(\d+)\b|([\w.-]+:\d{2,5})\b")


class OneLineABroker(logging.Filter):
    """Lets one line pass about a broker and interval, and says in the next how many were kept back.

    aiokafka tells each attempt at a broker that is away, of each of its clients: a hundred lines a second. OpenTelemetry does
    so of a collector.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s = now_s
        self._told: dict[tuple[str, ...], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is to be written."""
        library = record.name.partition(".")[0]
        if library not in {"aiokafka", "asyncio", "opentelemetry"}:
            return True
        about, now_s = _subject(library, record), self._now_s()
        told_s, kept_back = self._told.get(about, (-math.inf, 0))
        if now_s - told_s < _TELL_AGAIN_AFTER_S:
            self._told[about] = told_s, kept_back + 1
            return False
        self._told[about] = now_s, 0
        if kept_back:
            record.msg, record.args = f"{record.getMessage()} ({kept_back} lines about this were kept back)", ()
        return True


def _subject(library: str, record: logging.LogRecord) -> tuple[str, ...]:
    """The broker that a line is about; else its own first words."""
    text = record.getMessage().partition("\n")[0]
    found = _BROKER.search(text) if library == "aiokafka" else None
    return ("broker", found[1] or found[2]) if found else (record.name, str(record.msg).partition("\n")[0])


def configure_logging(level: str, form: Literal["json", "logfmt"]) -> None:
    """Send the logs of this process to standard error, one line for each event: time, level, logger, name, fields.

    Args:
        level: least level of our own events; with `debug` libraries are heard in full, else only their warnings.
        form: of a line.
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
                _renderer(form),
            ],
        )
    )
    if level != "debug":
        handler.addFilter(OneLineABroker())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for names, least in ((_QUIET, logging.WARNING), (_ERRORS_ONLY, logging.ERROR), (_SILENT, logging.CRITICAL)):
        for name in names:
            logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else least)


def _renderer(form: Literal["json", "logfmt"]) -> structlog.typing.Processor:
    if form == "json":
        return structlog.processors.JSONRenderer(serializer=_json)
    return structlog.processors.LogfmtRenderer(key_order=list(_FIRST), bool_as_flag=False)


def _json(fields: dict[str, Any], **_kwargs: object) -> str:
    """What every line has comes first; a value that is no JSON is written as text."""
    ordered = {name: fields[name] for name in _FIRST if name in fields} | fields
    return orjson.dumps(ordered, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def configure_command_logging() -> None:
    """Send what a command that ends by itself warns of to standard error, as its results go to standard output.

    What a client logs of a broker that is away is left out: the command ends with it.
    """
    configure_logging("warning", "logfmt")
    structlog.configure(cache_logger_on_first_use=False)  # one line or two: not worth a logger that stays as it is now
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
