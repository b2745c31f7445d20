"""The access log says what the general logger would have said, byte for byte but for the clock."""

from __future__ import annotations

import io
import logging
import re
import sys
import threading
from typing import TYPE_CHECKING

import pytest
import structlog

from entrepot.kernel.secret_forms import new_secret_of
from entrepot.observability.logging import (
    LogFormat,
    configure_logging,
    flush_logging,
    get_logger,
    get_request_logger,
)
from entrepot.observability.request_ids import bind_request_id, unbind_request_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from entrepot.observability.request_log import RequestLogger

_CLOCK = re.compile(rb"[0-9T:-]*[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z?")


@pytest.fixture(autouse=True)
def _logging_put_back() -> Iterator[None]:
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook, threading.excepthook = hooks


def _log_request(logger: RequestLogger, path: str) -> None:
    logger.info(
        "request.completed",
        operation="manifest.pull",
        method="GET",
        path=path,
        status=200,
        milliseconds=0.125,
        address="127.0.0.1",
    )


@pytest.mark.parametrize("line_format", ["json", "console"])
@pytest.mark.parametrize("path", ["/v2/a/manifests/1", '/v2/"\n\\/é', "/v2/\udcff", "/v2/\u2028"])
async def test_both_loggers_write_the_same_line(line_format: LogFormat, path: str) -> None:
    """Fields, their order and their escapes don't depend on which logger wrote the line."""
    stream = io.BytesIO()
    configure_logging("info", line_format, "http", stream)
    token = bind_request_id("0123456789abcdef")

    _log_request(get_logger(), path)
    _log_request(get_request_logger(), path)
    flush_logging()
    unbind_request_id(token)

    general, quick = stream.getvalue().splitlines()
    assert _CLOCK.sub(b"now", quick) == _CLOCK.sub(b"now", general)
    assert b"manifest.pull" in quick


async def test_a_higher_level_silences_it() -> None:
    """At level warning no request is written, as no other line of level info is."""
    stream = io.BytesIO()
    configure_logging("warning", "json", "http", stream)

    _log_request(get_request_logger(), "/v2/")
    flush_logging()

    assert stream.getvalue() == b""


@pytest.mark.parametrize("line_format", ["json", "console"])
async def test_no_secret_that_is_made_here_is_in_a_line_whichever_logger_writes_it_s27(
    line_format: LogFormat,
) -> None:
    """Pasted in a path it is in the access log, and in the message of whatever failed by it."""
    stream, secret = io.BytesIO(), new_secret_of("ept_")
    configure_logging("info", line_format, "http", stream)
    token = bind_request_id(f"id.{secret}")

    _log_request(get_logger(), f"/v2/{secret}/tags/list")
    _log_request(get_request_logger(), f"/v2/{secret}/tags/list")
    get_logger().error("request.failed", reason=f"there is no {secret}", exc_info=ValueError(secret))
    logging.getLogger("library").warning("no %s", secret)
    flush_logging()
    unbind_request_id(token)

    assert secret[4:] not in stream.getvalue().decode()
    assert stream.getvalue().decode().count("/v2/ept_…") == 2
