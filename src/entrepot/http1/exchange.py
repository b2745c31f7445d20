"""One request and its answer, as the application sees them (ASGI specification 3.0, HTTP connection scope)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import structlog

from entrepot.http1.answer import Answer
from entrepot.http1.threaded_body import ThreadedBody
from entrepot.kernel.asgi import BODY_ON_THREAD

if TYPE_CHECKING:
    from entrepot.http1.peer import Peer
    from entrepot.http1.request_body import RequestBody
    from entrepot.http1.request_head import RequestHead
    from entrepot.kernel.asgi import Application, Scope

__all__ = ["Exchange"]

_log: Any = structlog.get_logger()

_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}
_EXTENSIONS: Final[dict[str, dict[str, Any]]] = {"http.response.pathsend": {}}
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_DISCONNECT: Final = "http.disconnect"


class Exchange:
    """Handles one request.

    Attributes:
        body: what the connection feeds with what arrives.
        answer: what has become of the answer.
    """

    __slots__ = (
        "_awaits_permission",
        "_keeps_alive",
        "_peer",
        "_threaded",
        "_was_told_end",
        "answer",
        "body",
        "scope",
    )

    def __init__(self, peer: Peer, head: RequestHead, body: RequestBody) -> None:
        """Take a request's head, and its body as far as it has arrived."""
        raw_path, _, query = head.target.partition(b"?")
        path = raw_path.decode("ascii")
        self._peer = peer
        self.scope: Scope = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": head.version,
            "method": head.method,
            "scheme": peer.channel.scheme,
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": head.fields,
            "client": peer.client,
            "server": peer.server,
            "state": {},
            "extensions": _EXTENSIONS,
        }
        self.body = body
        self._threaded: ThreadedBody | None = None
        if not body.has_stopped and peer.channel.scheme == "http":  # bytes of TLS are the event loop's
            self._threaded = ThreadedBody(peer, body)
            self.scope["extensions"] = {**_EXTENSIONS, BODY_ON_THREAD: self._threaded}
        self.answer = Answer(peer, head, body.break_off)
        self._was_told_end = False
        self._awaits_permission = head.asks_for_permission
        if self._awaits_permission:
            # Who gets the answer instead may send the body or another request: nobody could tell which.
            self.answer.keep_alive(wished=False)
        self._keeps_alive = head.keeps_alive

    async def run(self, application: Application) -> None:
        """Have the application answer; an answer that breaks ends the connection, so that the client sees it."""
        try:
            await application(self.scope, self.receive, self.answer.send)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            await self._break()  # what the application waited for was cancelled, and not the application
        except Exception:  # noqa: BLE001  # whatever breaks the application, the connection must be told
            await self._break()
        else:
            if not (self.answer.has_started or self.body.is_broken or self._peer.channel.is_lost):
                _log.error("exchange.unanswered", path=self.scope["path"])
                await self._answer_500()
        finally:
            try:
                self._end_thread()
            finally:
                self._peer.end_exchange()

    async def receive(self) -> Scope:
        """Return the next piece of the body; after its end wait for the client to leave (ASGI `receive`)."""
        body, peer = self.body, self._peer
        self._end_thread()
        if self._awaits_permission:
            self._awaits_permission = False
            self.answer.keep_alive(wished=self._keeps_alive)
            if not (body.has_pieces or body.has_ended or self.answer.has_started):
                peer.channel.write(_CONTINUE)
        while True:
            if body.has_pieces:
                piece = body.take()
                peer.go_on()
                self._was_told_end = body.has_ended and not body.has_pieces
                return {"type": "http.request", "body": piece, "more_body": not self._was_told_end}
            if body.has_ended and not self._was_told_end:
                self._was_told_end = True
                return {"type": "http.request", "body": b"", "more_body": False}
            if body.is_broken or self.answer.has_ended or peer.channel.is_lost:
                return {"type": _DISCONNECT}
            await body.changed(peer.loop)

    def _end_thread(self) -> None:
        if self._threaded is not None:
            self._threaded.end()

    async def _break(self) -> None:
        """Log the exception that is handled, and answer 500 unless it is too late."""
        _log.exception("exchange.broken", path=self.scope["path"])
        if not self.answer.has_started:
            await self._answer_500()

    async def _answer_500(self) -> None:
        self.answer.begin_anew()
        await self.answer.send({"type": "http.response.start", "status": 500})
        await self.answer.send({"type": "http.response.body", "body": b"Internal Server Error\n"})
