"""Logs: one JSON object a line on stderr, redacted before it is written, whoever wrote it (ID-7).

structlog for our own lines; the standard library's (grpc, asyncio, psycopg, redis) go through the same processors.
"""

from __future__ import annotations

import copy
import json
import logging
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from infosec.redaction import exception_facts, safe_mapping, safe_text, safe_value

_OURS = ("event", "level", "logger", "timestamp")
"""Keys that the log line itself owns; everything else is judged by its key."""


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Send every log line of this process, from `level` up, to `stream` (stderr). May be called again."""
    shared = _processors()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(_Formatter(foreign_pre_chain=[], processors=shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # It tells of every failed connection in the driver's words; what comes of it, ours tell.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    logging.captureWarnings(True)


def get(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a part of the suite: `get("authsvc.login").info("refused", terminal=terminal_id)`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def log_uncaught() -> None:
    """Let exceptions that nobody catches end in the log, redacted, in place of Python's own traceback."""

    def main_thread(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        _uncaught(error)

    sys.excepthook = main_thread
    threading.excepthook = lambda args: _uncaught(args.exc_value)
    sys.unraisablehook = lambda args: _uncaught(args.exc_value)


def _uncaught(error: BaseException | None) -> None:
    logging.getLogger("infosec").critical("uncaught exception", exc_info=error)


def _processors() -> list[Processor]:
    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _exceptions,
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        redact,
        structlog.processors.JSONRenderer(serializer=_line),
    ]


def _exceptions(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace exc_info, from either library, by facts without values."""
    given = event.pop("exc_info", None)
    record = event.get("_record")
    if not given and record is not None:
        given = record.exc_info
    event.pop("stack_info", None)
    if given is True:
        given = sys.exc_info()
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["exception"] = exception_facts(error)
    return event


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The last step before a line is written."""
    exception = event.pop("exception", None)
    ours = {key: _text_of(event.pop(key)) for key in _OURS if key in event}
    line = {**ours, **safe_mapping(event)}
    if isinstance(exception, Mapping):
        line["exception"] = exception
    elif exception is not None:
        line["exception"] = safe_value(exception)
    return line


def _text_of(value: object) -> str:
    return safe_text(value) if isinstance(value, str) else str(safe_value(value))


def _line(event: object, **_options: object) -> str:
    return json.dumps(event, ensure_ascii=False, default=lambda value: f"<{type(value).__qualname__}>")


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Makes the arguments of a foreign line safe before they are put into its text."""

    def format(self, record: logging.LogRecord) -> str:
        if hasattr(record, "_logger"):
            # From structlog: the whole event is redacted as the last step.
            return super().format(record)
        record = copy.copy(record)
        if not isinstance(record.msg, str):
            record.msg, record.args = _text_of(record.msg), None
        record.args = _safe_arguments(record.args)
        # A cached rendering, made by another handler, has values in it.
        record.exc_text = record.stack_info = None
        return super().format(record)


def _safe_arguments(arguments: Any) -> Any:
    if isinstance(arguments, Mapping):
        return safe_mapping(arguments)
    return tuple(safe_value(argument) for argument in arguments) if arguments else arguments


class _Handler(logging.StreamHandler[TextIO]):
    """The standard library prints the arguments of a line that fails; this says only where it came from."""

    def handleError(self, record: logging.LogRecord) -> None:
        try:
            self.stream.write(_line({"event": "a log line failed", "level": "error", "logger": record.name}) + "\n")
        except (OSError, ValueError):
            # The stream is gone; there is nowhere left to say it.
            return
