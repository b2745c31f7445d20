"""The access log: one line per request, encoded straight from its fields, since no other line is written so often."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Protocol, final

import msgspec

from entrepot.kernel.secret_forms import MOST_CHARACTERS, without_secrets
from entrepot.observability.log_lines import RenderLine, format_timestamp, render_json
from entrepot.observability.request_ids import current_request_id

if TYPE_CHECKING:
    from entrepot.observability.line_stream import LineStream

__all__ = ["RequestLogWriter", "RequestLogger"]


class RequestLogger(Protocol):
    """The one call of a general logger that answered requests need."""

    def info(
        self,
        event: str,
        *,
        operation: str,
        method: str,
        path: str,
        status: int,
        milliseconds: float,
        address: str,
    ) -> object:
        """A request was answered."""


class _Entry(msgspec.Struct, frozen=True, gc=False):
    """The line as it is written, field by field in this order."""

    timestamp: str = msgspec.field(name="@timestamp")
    level: str = msgspec.field(name="log.level")
    event: str
    role: str = msgspec.field(name="process.role")
    pid: int = msgspec.field(name="process.pid")
    request_id: str = msgspec.field(name="request.id")
    operation: str
    method: str
    path: str
    status: int
    milliseconds: float
    address: str


@final
class RequestLogWriter:
    """Writes what a general logger would write, with other lines a moment later, in less than half of the time."""

    def __init__(self, stream: LineStream, process_role: str, render: RenderLine) -> None:
        self._write_soon = stream.write_soon
        self._role = process_role
        self._pid = os.getpid()
        self._render = render
        self._encode = msgspec.json.Encoder().encode

    def info(
        self,
        event: str,
        *,
        operation: str,
        method: str,
        path: str,
        status: int,
        milliseconds: float,
        address: str,
    ) -> None:
        """Write the line of an answered request; people paste secrets where names belong (S27)."""
        path, request_id = path[:MOST_CHARACTERS], current_request_id()
        texts = f"{request_id} {path}"  # no secret reaches over a blank
        if without_secrets(texts) is not texts:
            path, request_id = without_secrets(path), without_secrets(request_id)
        entry = _Entry(
            format_timestamp(time.time()),  # noqa: TID251 - a log line bears the clock of its machine
            "info",
            event,
            self._role,
            self._pid,
            request_id,
            operation,
            method,
            path,
            status,
            milliseconds,
            address,
        )
        self._write_soon(self._rendered(entry))

    def _rendered(self, entry: _Entry) -> bytes:
        if self._render is render_json:
            try:
                return self._encode(entry)
            except UnicodeEncodeError:  # a path with lone surrogates
                pass
        fields: dict[str, Any] = msgspec.to_builtins(entry)
        return self._render(fields)
