"""Processes that stage uploads on command, so that a test can pause or kill one.

A nursery (`python -m tests.drivers.blobstore.second_process <socket>`) imports everything once and forks for every
connection, because starting Python takes longer than the test. A child reads one JSON array per line, `[command,
argument …]`, and answers each with one line: `{"ok": …}` or `{"error": "<class of the error>"}`.
"""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import msgspec

from entrepot.blobstore.driver import UploadReference
from entrepot.blobstore.errors import BlobStoreError
from entrepot.oci.digest import Digest
from tests.drivers.blobstore.opening import StoreAddress, open_store

if TYPE_CHECKING:
    from entrepot.blobstore.driver import BlobStore, BlobWriter

__all__ = ["OtherProcess"]


class OtherProcess:
    """The test's end of a second process."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._process_id = 0

    @classmethod
    async def start(cls, nursery: str, address: StoreAddress) -> Self:
        """Start a process that uses the store at `address`."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(nursery)  # here, since libuv takes no address that begins with a zero
        started = cls(*await asyncio.open_unix_connection(sock=connection))
        started._writer.write(msgspec.json.encode(address) + b"\n")
        started._process_id = await started.answer()
        return started

    async def ask(self, *command: object) -> Any:
        """Run a command and return its answer; `error:<class>` when it failed."""
        self._writer.write(msgspec.json.encode(command) + b"\n")
        return await self.answer()

    async def answer(self) -> Any:
        """Wait for the answer to the oldest command."""
        answer = msgspec.json.decode(await self._reader.readline())
        return f"error:{answer['error']}" if "error" in answer else answer["ok"]

    async def open(self, upload: UploadReference) -> Any:
        """Open a writer there."""
        state = base64.b64encode(upload.state).decode()
        return await self.ask("open", upload.upload_id, upload.fence, state, upload.offset)

    async def write(self, size: int, fill: str) -> Any:
        """Write `size` times the character `fill` there."""
        return await self.ask("write", size, fill)

    async def checkpoint(self) -> bytes:
        """Checkpoint there and return the state."""
        return base64.b64decode(await self.ask("checkpoint"))

    def pause(self) -> None:
        """Stop the process as a machine under pressure would."""
        os.kill(self._process_id, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self._process_id, signal.SIGCONT)

    async def kill(self) -> None:
        """Kill it as a power cut would, and wait until it is gone."""
        if self._process_id:
            process_id, self._process_id = self._process_id, 0
            os.kill(process_id, signal.SIGKILL)
            await self._reader.read()
            self._writer.close()
            with suppress(ProcessLookupError):
                while True:
                    os.kill(process_id, 0)
                    await asyncio.sleep(0.01)


class _Commands:
    def __init__(self, store: BlobStore) -> None:
        self._store = store
        self._writer: BlobWriter | None = None

    async def run(self, name: str, arguments: list[Any]) -> object:
        """Run one command."""
        if name == "open":
            upload_id, fence, state, offset = arguments
            self._writer = await self._store.open_writer(
                UploadReference(upload_id, fence, base64.b64decode(state), offset)
            )
            return os.getpid()
        assert self._writer is not None
        match name:
            case "write":
                await self._writer.write([arguments[1].encode() * arguments[0]])
            case "checkpoint":
                return base64.b64encode(await self._writer.checkpoint()).decode()
            case "seal":
                return await self._writer.seal()
            case "publish":
                return await self._writer.publish(Digest.of_bytes(arguments[0].encode()))
            case _:
                await self._writer.close()
        return self._writer.offset


async def _serve(connection: socket.socket) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    commands = _Commands(await open_store(msgspec.json.decode(await reader.readline(), type=StoreAddress)))
    writer.write(msgspec.json.encode({"ok": os.getpid()}) + b"\n")
    while line := await reader.readline():
        name, *arguments = msgspec.json.decode(line)
        try:
            answer = {"ok": await commands.run(name, arguments)}
        except BlobStoreError as error:
            answer = {"error": type(error).__name__}
        writer.write(msgspec.json.encode(answer) + b"\n")


def _tend(address: str) -> None:
    """Fork a child for every connection; the kernel buries them."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                asyncio.run(_serve(connection))
                os._exit(0)
            connection.close()


if __name__ == "__main__":
    _tend(f"\0{sys.argv[1]}")
