"""Runs Granian's HTTP server inside this process on a socket that was bound elsewhere.

Granian's own command starts a supervisor that forks workers, each of which binds the port anew with SO_REUSEPORT. We
have a supervisor, and separate sockets are what we must not have: a connection queued at a worker that ends is reset
(Granian warns of it; net.ipv4.tcp_migrate_req is off by default). Measured with 2.8.7 on 2 cores: one process less
(28 MB), and the multi-threaded runtime used here answers 19 to 21 k small requests a second where Granian's public
in-process server (`granian.server.embed`, single-threaded runtime) answers 11 to 15 k.

The price: `ASGIWorker` and its scheduler are not public. Granian is pinned, and `tests/processes` runs every use of it.

Granian stops accepting and closes idle connections in one step, among them those whose first request is still on its
way: under load one in some hundred clients would see its new connection closed without an answer. So a listener ends
in three steps here: `stop_accepting`, a pause of the caller's choice, `stop`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from granian._futures import (
    _new_cbscheduler,  # pyright: ignore[reportPrivateUsage, reportUnknownVariableType]  # see the module's docstring
)
from granian._granian import ASGIWorker, SocketHolder, WorkerSignal
from granian.http import HTTP1Settings

from entrepot.processes.epoll import withdraw_from_epoll
from entrepot.processes.sockets import LISTEN_BACKLOG

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.processes.factories import Application, Receive, Scope, Send

__all__ = ["GranianListener", "ListenerOptions", "TlsOptions"]

_RUNTIME_THREADS = 1
"""Threads that parse, encrypt and write; Python runs on one other thread, so two cores are busy."""
_FILE_THREADS = 32
"""Threads that read files being sent, at most (started on demand)."""
_PYTHON_THREADS = 1
_PYTHON_THREAD_IDLE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """Paths of PEM files that were found to fit each other, and the oldest version to speak: "1.2" or "1.3"."""

    certificate: Path
    key: Path
    min_version: str


@dataclass(frozen=True, slots=True)
class ListenerOptions:
    """Limits of one listener.

    `header_timeout_seconds` is the time for a request's whole head, counted from the last response or the start of the
    connection: it ends slow heads and idle connections alike. At `max_connections` the kernel queues further ones.
    """

    max_connections: int
    header_timeout_seconds: float
    tls: TlsOptions | None = None


class _Watcher(Protocol):
    """Granian's handle of one request."""

    scope: Scope
    proto: Any

    def done(self) -> None: ...
    def err(self, error: BaseException) -> None: ...


class _ServingWorker(Protocol):
    def serve_mtr(self, scheduler: object, loop: asyncio.AbstractEventLoop, stop: WorkerSignal) -> None: ...


class GranianListener:
    """Serves an ASGI application (no lifespan) over HTTP/1.1 on an inherited socket, within the running event loop."""

    def __init__(self, application: Application, listener: int, options: ListenerOptions) -> None:
        self._application = application
        self._listener = listener
        self._options = options
        self._signal = WorkerSignal()
        self._stopped = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._running_count = 0
        self._is_closing = False

    def start(self) -> None:
        """Accept connections from now on; takes over the descriptor."""
        loop = asyncio.get_running_loop()
        self._signal.add_cb(lambda: loop.call_soon_threadsafe(self._stopped.set))
        scheduler = cast("Any", _new_cbscheduler)(loop, self._run_request, impl_asyncio=True)
        self._build_worker().serve_mtr(scheduler, loop, self._signal)

    def stop_accepting(self) -> None:
        """Leave new connections to whoever else holds the socket; answers ask clients to close theirs from now on."""
        self._is_closing = withdraw_from_epoll(self._listener) > 0

    def refuse_connections(self) -> None:
        """Have the kernel refuse new connections at once, for all who hold the socket. Only after `stop_accepting`.

        Without that Granian would take the closed socket's error for one of a single connection, and try for ever.
        """
        if not self._is_closing:
            return
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._listener)) as listener:
            listener.shutdown(socket.SHUT_RDWR)

    async def stop(self) -> None:
        """Close the listener and idle connections, and wait until requests under way and their handlers have ended.

        There is no time-out: the parent has one for the whole process.
        """
        self._signal.set()
        await self._stopped.wait()
        await self._idle.wait()

    def _build_worker(self) -> _ServingWorker:
        options, tls = self._options, self._options.tls
        worker_type: Any = ASGIWorker  # Granian's stubs lag behind: these two signatures are as of 2.8.7
        holder_type: Any = SocketHolder
        is_unix_socket = False
        worker: _ServingWorker = worker_type(
            worker_id=1,
            sock=(None, holder_type(self._listener, is_unix_socket, LISTEN_BACKLOG)),
            ipc=None,
            threads=_RUNTIME_THREADS,
            blocking_threads=_FILE_THREADS,
            py_threads=_PYTHON_THREADS,
            py_threads_idle_timeout=_PYTHON_THREAD_IDLE_SECONDS,
            backpressure=options.max_connections,
            http_mode="1",
            http1_opts=HTTP1Settings(header_read_timeout=int(options.header_timeout_seconds * 1000)),
            http2_opts=None,
            websockets_enabled=False,
            static_files=None,
            ssl_enabled=tls is not None,
            ssl_cert=None if tls is None else str(tls.certificate),
            ssl_key=None if tls is None else str(tls.key),
            ssl_key_password=None,
            ssl_protocol_min="tls1.2" if tls is None else f"tls{tls.min_version}",
            ssl_ca=None,
            ssl_crl=[],
            ssl_client_verify=False,
        )
        return worker

    async def _run_request(self, watcher: _Watcher) -> None:
        scope = watcher.scope
        scope.update(root_path="", state={})
        receive: Receive = watcher.proto.receive
        send: Send = _ask_to_close(watcher.proto.send) if self._is_closing else watcher.proto.send
        self._running_count += 1
        self._idle.clear()
        try:
            await self._application(scope, receive, send)
        except Exception as error:  # noqa: BLE001  # Granian answers 500 or breaks the connection, and logs it
            watcher.err(error)
        except BaseException as error:
            watcher.err(error)
            raise
        else:
            watcher.done()
        finally:
            self._running_count -= 1
            if self._running_count == 0:
                self._idle.set()


def _ask_to_close(send: Send) -> Send:
    async def send_closing(message: Scope) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await send(message)

    return send_closing
