"""The least that a push can cost on the HTTP server used: a raw ASGI application without routes, rows or checks.

Started by `bench.floor` as `python -m bench.floor_server PORT`, on the product's own listener. It answers POST, PATCH
and PUT as the client of uploads expects, and does with the bytes what `FLOOR_MODE` says: `drop`; `hash` on the event
loop; `write`: hash and write, in steps of 1 MiB on one other thread, written back as they come, flushed to the disk
before the answer; `thread`: the same by the thread that reads the socket, as in the product. `send` answers GET with
the file `content` of the directory, handed to the server by its path.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entrepot.blobstore.filesystem.write_back import WriteBack, start_writing_back
from entrepot.http1.listener import Listener
from entrepot.http1.options import ListenerOptions
from entrepot.kernel.asgi import BODY_ON_THREAD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping, Sequence
    from typing import TypeAlias

    from entrepot.kernel.asgi import BodyOnThread

    _Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
    _Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

__all__ = ["application"]

_STEP_BYTES: Final = 1024 * 1024
_MODE: Final = os.environ.get("FLOOR_MODE", "drop")
_DIRECTORY: Final = Path(os.environ.get("FLOOR_DIRECTORY", "/tmp"))  # noqa: S108  # bench.floor sets it
_threads: Final = ThreadPoolExecutor(4)


class _File:
    """A file that grows, with the digest of what was written."""

    def __init__(self) -> None:
        self._path = _DIRECTORY / secrets.token_hex(8)
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._hasher = hashlib.sha256()
        self._write_back = WriteBack(0)
        self._size = 0

    def append(self, chunks: Sequence[bytes | memoryview]) -> None:
        for chunk in chunks:
            self._hasher.update(chunk)
        self._size += os.writev(self._descriptor, chunks)
        if (due := self._write_back.due(self._size)) is not None:
            start_writing_back(self._descriptor, *due)

    def finish(self) -> None:
        os.fdatasync(self._descriptor)
        os.close(self._descriptor)
        self._path.unlink()


async def application(scope: MutableMapping[str, Any], receive: _Receive, send: _Send) -> None:
    """Answer one request of an upload, or the question whether anybody is here."""
    if _MODE == "send" and scope["path"] == "/content":
        await _send(send)
        return
    statuses = {"POST": 202, "PATCH": 202, "PUT": 201}
    if scope["method"] == "PATCH":
        await {"drop": _drop, "hash": _hash, "write": _write, "thread": _take_by_thread}[_MODE](
            scope, receive
        )
    else:
        await _drop(scope, receive)
    headers = [(b"location", b"/v2/floor/blobs/uploads/1"), (b"content-length", b"0")]
    status = statuses.get(scope["method"], 200)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _send(send: _Send) -> None:
    path = _DIRECTORY / "content"
    headers = [(b"content-length", str(path.stat().st_size).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.pathsend", "path": str(path)})


async def _drop(_scope: MutableMapping[str, Any], receive: _Receive) -> None:
    while (await receive()).get("more_body"):
        pass


async def _hash(_scope: MutableMapping[str, Any], receive: _Receive) -> None:
    hasher, more = hashlib.sha256(), True
    while more:
        message = await receive()
        hasher.update(message.get("body", b""))
        more = message.get("more_body", False)


async def _write(_scope: MutableMapping[str, Any], receive: _Receive) -> None:
    """Receive a step while the one before it is hashed and written."""
    loop, file = asyncio.get_running_loop(), _File()
    storing: asyncio.Future[None] | None = None
    step: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        step.append(message.get("body", b""))
        size += len(step[-1])
        more = message.get("more_body", False)
        if size >= _STEP_BYTES or not more:
            if storing is not None:
                await storing
            storing = loop.run_in_executor(_threads, file.append, step)
            step, size = [], 0
    if storing is not None:
        await storing
    await loop.run_in_executor(_threads, file.finish)


async def _take_by_thread(scope: MutableMapping[str, Any], receive: _Receive) -> None:
    source: BodyOnThread = scope["extensions"][BODY_ON_THREAD]
    file, more = _File(), True
    while more:
        message = await receive()
        file.append([message.get("body", b"")])
        more = message.get("more_body", False)
        while source.has_backlog:
            await source.read(file.append)
    await asyncio.get_running_loop().run_in_executor(_threads, file.finish)


async def _serve(port: int) -> None:
    listening = socket.create_server(("127.0.0.1", port), backlog=128)
    Listener(application, listening.detach(), ListenerOptions(128, 30.0)).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
