"""Files that tests of the listener have sent, and the application that sends them."""

from __future__ import annotations

import functools
import random
from typing import TYPE_CHECKING

from tests.processes.http1_serving import message_of, tell

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from entrepot.kernel.asgi import Application, Receive, Scope, Send


def serve_from(directory: Path, *, announced: int | None = None) -> Application:
    """Serve the files of a directory by their names; /well answers without one."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/well":
            await tell(scope, receive, send)
            return
        path = directory / scope["path"][1:]
        size = path.stat().st_size if announced is None else announced
        fields = [(b"content-length", b"%d" % size)]
        await send(message_of("response.start", status=200, headers=fields))
        await send(message_of("response.pathsend", path=str(path)))

    return application


@functools.cache
def content_of(size: int) -> bytes:
    """Bytes that are the same for the same size."""
    return random.Random(size).randbytes(size)


def make_copies(patched: pytest.MonkeyPatch) -> None:
    """Have clients on this machine sent copies, however fast they are."""
    patched.setattr("entrepot.http1.file_sending._SPARE_CORES", 1e9)
