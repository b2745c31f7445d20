"""Sets up the one stream of log lines of a process: our events, those of libraries, uncaught exceptions."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias, cast, final

import structlog

from entrepot.kernel.secret_forms import bytes_without_secrets
from entrepot.observability.line_stream import LineStream
from entrepot.observability.log_lines import (
    RenderLine,
    describe_exception,
    format_timestamp,
    render_console,
    render_json,
)
from entrepot.observability.request_ids import current_request_id
from entrepot.observability.request_log import RequestLogger, RequestLogWriter

if TYPE_CHECKING:
    from structlog.typing import EventDict, FilteringBoundLogger

__all__ = [
    "LogFormat",
    "LogLevel",
    "configure_logging",
    "flush_logging",
    "get_logger",
    "get_request_logger",
]

LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]
LogFormat: TypeAlias = Literal["json", "console"]

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_NOISY_LIBRARIES = ("aiobotocore", "asyncio", "botocore", "urllib3")


def get_logger() -> FilteringBoundLogger:
    """Return a logger for constant event names with facts: ``log.info("upload.completed", size_bytes=n)``.

    It may be made before ``configure_logging`` ran, and takes on its configuration with the first line.
    """
    return cast("FilteringBoundLogger", structlog.get_logger())


def get_request_logger() -> RequestLogger:
    """Return the logger of answered requests: the quick one once ``configure_logging`` has asked for such lines."""
    factory = structlog.get_config()["logger_factory"]
    if isinstance(factory, _Pipeline) and factory.request_log is not None:
        return factory.request_log
    return get_logger()


def flush_logging() -> None:
    """Write the lines that wait. For the end of a process, after its event loop."""
    factory = structlog.get_config()["logger_factory"]
    if isinstance(factory, _Pipeline):
        factory.stream.flush()


def configure_logging(
    level: LogLevel, line_format: LogFormat, process_role: str, stream: BinaryIO | None = None
) -> None:
    """Send all logging of this process to ``stream`` (standard error), one line per event.

    ``process_role`` tells the processes of a node apart. Call once per process, first thing: loggers that
    have written already keep their level.
    """
    pipeline = _Pipeline(
        render_json if line_format == "json" else render_console,
        process_role,
        LineStream(stream if stream is not None else sys.stderr.buffer),
    )
    if _LEVELS[level] <= logging.INFO:
        pipeline.write_requests()
    structlog.configure(
        processors=[pipeline.process],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=pipeline,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [_LibraryHandler(pipeline)]
    root.setLevel(_LEVELS[level])
    for name in _NOISY_LIBRARIES:
        logging.getLogger(name).setLevel(max(_LEVELS[level], logging.WARNING))
    logging.captureWarnings(capture=True)
    sys.excepthook = pipeline.report_crash
    threading.excepthook = pipeline.report_thread_crash


@final
class _LineWriter:
    """What structlog hands a rendered line to."""

    def __init__(self, stream: LineStream) -> None:
        self.msg = stream.write
        self.debug = self.info = self.warning = self.error = self.critical = self.msg


@final
class _Pipeline:
    """Adds what every line has, and renders it."""

    def __init__(self, render: RenderLine, process_role: str, stream: LineStream) -> None:
        self._render = render
        self._role = process_role
        self._writer = _LineWriter(stream)
        self.stream = stream
        self.request_log: RequestLogWriter | None = None

    def write_requests(self) -> None:
        """Give answered requests a logger of their own."""
        self.request_log = RequestLogWriter(self.stream, self._role, self._render)

    def __call__(self, *_: object) -> _LineWriter:
        """Serve as structlog's logger factory."""
        return self._writer

    def process(self, _logger: object, method: str, event_dict: EventDict) -> bytes:
        """Serve as structlog's only processor: one function call instead of a chain of five. No secret passes (S27)."""
        entry: dict[str, Any] = {
            "@timestamp": format_timestamp(time.time()),  # noqa: TID251 - a log line bears the clock of its machine
            "log.level": method,
            "event": event_dict.pop("event"),
            "process.role": self._role,
            "process.pid": os.getpid(),
        }
        request_id = current_request_id()
        if request_id:
            entry["request.id"] = request_id
        error = _find_exception(event_dict.pop("exc_info", None))
        entry.update(event_dict)
        if error is not None:
            entry.update(describe_exception(error))
        return bytes_without_secrets(self._render(entry))

    def report_crash(self, _kind: type[BaseException], error: BaseException, _trace: object) -> None:
        """Serve as sys.excepthook: the reason a process died is a log line like any other."""
        event_dict: EventDict = {"event": "process.crashed", "exc_info": error}
        self.stream.write(self.process(None, "critical", event_dict))

    def report_thread_crash(self, arguments: threading.ExceptHookArgs) -> None:
        """Serve as threading.excepthook."""
        name = arguments.thread.name if arguments.thread is not None else ""
        event_dict: EventDict = {"event": "thread.crashed", "thread": name, "exc_info": arguments.exc_value}
        self.stream.write(self.process(None, "critical", event_dict))


def _find_exception(exc_info: object) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return cast("tuple[object, BaseException | None, object]", exc_info)[1]
    return sys.exc_info()[1] if exc_info else None


@final
class _LibraryHandler(logging.Handler):
    """Turns records of the standard library's logging into lines of the same stream."""

    def __init__(self, pipeline: _Pipeline) -> None:
        super().__init__()
        self._pipeline = pipeline

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record as the event ``library.message``."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):  # a library's format string that doesn't fit its arguments
            message = str(record.msg)
        event_dict: EventDict = {"event": "library.message", "log.logger": record.name, "message": message}
        if record.exc_info:
            event_dict["exc_info"] = record.exc_info
        line = self._pipeline.process(None, record.levelname.lower(), event_dict)
        self._pipeline.stream.write(line)
