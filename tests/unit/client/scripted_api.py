"""A small HTTP server that answers as a test says: the client is tried over sockets, and without the product."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

__all__ = ["Answer", "Asked", "ScriptedApi", "refusal", "scripted_api"]

_PREFIX = "/api/v2.0"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it arrived; the path without what all paths begin with."""

    method: str
    path: str
    query: dict[str, str]
    credentials: str
    headers: dict[str, str]
    document: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered."""

    status: int = 200
    document: Any = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    raw: bytes | None = None

    @property
    def body(self) -> bytes:
        """The bytes that are sent."""
        if self.raw is not None:
            return self.raw
        return b"" if self.document is None else json.dumps(self.document).encode()


def refusal(status: int, message: str, *, code: str = "WHATEVER", **headers: str) -> Answer:
    """Return an answer in the form of Harbor's errors; `headers` are named with underscores for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"errors": [{"code": code, "message": message}]}, named)


class ScriptedApi:
    """Answers by method and path; what no test said is answered with 404."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.port = 0
        self.idle_seconds = 10.0
        self._answers: dict[str, Callable[[Asked], Answer]] = {}

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The address as the client keeps it."""
        return f"http://{self.address}"

    def on_call(self, request: str, answer: Callable[[Asked], Answer]) -> None:
        """Answer a request, as `GET /users`, with what a function of it returns."""
        self._answers[request] = answer

    def on(self, request: str, answer: Any = None, *, status: int = 200, **headers: str) -> None:
        """Answer a request with a document, or with an answer of any kind."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        fixed = answer if isinstance(answer, Answer) else Answer(status, answer, named)
        self._answers[request] = lambda _: fixed

    def answer(self, asked: Asked) -> Answer:
        """Note the request and answer it."""
        self.asked.append(asked)
        answer = self._answers.get(f"{asked.method} {asked.path}")
        return refusal(404, "there is no such endpoint") if answer is None else answer(asked)

    def lines(self) -> list[str]:
        """Return what was asked, as `GET /users`, in order."""
        return [f"{one.method} {one.path}" for one in self.asked]

    def document_of(self, request: str) -> Any:
        """Return the body of the last such request."""
        return [one for one in self.asked if f"{one.method} {one.path}" == request][-1].document


@contextlib.contextmanager
def scripted_api(tls: ssl.SSLContext | None = None) -> Iterator[ScriptedApi]:
    """Run one on a free port of this machine."""
    api = ScriptedApi()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            """Leave a client that asks nothing more."""
            super().setup()
            self.connection.settimeout(api.idle_seconds)

        def _serve(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            asked = Asked(
                self.command,
                path.removeprefix(_PREFIX),
                dict(parse_qsl(query, keep_blank_values=True)),
                _credentials(self.headers.get("authorization", "")),
                {name.lower(): value for name, value in self.headers.items()},
                json.loads(body) if body else None,
            )
            answer = api.answer(asked)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815  # the names that the server looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of the base class
            """Stay silent."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that breaks off is part of the tests."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    api.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _credentials(header: str) -> str:
    scheme, _, value = header.partition(" ")
    return base64.b64decode(value).decode() if scheme == "Basic" else header
