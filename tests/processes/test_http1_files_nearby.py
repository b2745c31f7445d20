"""Files on their way to clients on the same machine, which get copies, and to others (docs/decisions/0062)."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Final

import pytest
from structlog.testing import capture_logs

from entrepot.http1.mapped_file import mapped_file
from tests.processes.http1_files import content_of, serve_from
from tests.processes.http1_serving import (
    get,
    serving,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path


_MIB: Final = 1 << 20
_BIG: Final = 20 * _MIB
_SMALL_BUFFER: Final = 16 * 1024
_LEAST_BUFFER: Final = 4 * 1024


@pytest.mark.parametrize("is_far", [False, True])
async def test_i12_files_are_copied_for_clients_nearby_a_little_at_once_and_for_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_far: bool
) -> None:
    """What is mapped counts as memory of the process."""
    (tmp_path / "file").write_bytes(content_of(_BIG))
    mapped, shared = list[int](), list[int]()
    real_sendfile = os.sendfile

    def note_mapped(
        descriptor: int, offset: int, size: int
    ) -> AbstractContextManager[ctypes.Array[ctypes.c_char]]:
        mapped.append(size)
        return mapped_file(descriptor, offset, size)

    def note_shared(*arguments: int) -> int:
        shared.append(arguments[3])
        return real_sendfile(*arguments)

    monkeypatch.setattr("entrepot.http1.file_sending.mapped_file", note_mapped)
    monkeypatch.setattr("entrepot.http1.file_sending.os.sendfile", note_shared)
    async with serving(serve_from(tmp_path), is_far=is_far) as server:
        assert (await server.ask(get("/file"))).body == content_of(_BIG)
    assert mapped if not is_far else (shared and not mapped)
    assert max(mapped, default=0) < 3 * _MIB


async def test_i12_a_file_that_can_not_be_mapped_arrives_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a file system that does not know it, or where no descriptor is left."""
    (tmp_path / "file").write_bytes(content_of(_BIG))

    def refuse(*_: int | None) -> int | None:
        return ctypes.c_void_p(-1).value

    monkeypatch.setattr("entrepot.http1.mapped_file._mmap", refuse)
    async with serving(serve_from(tmp_path)) as server:
        assert (await server.ask(get("/file"))).body == content_of(_BIG)


async def test_i12_a_file_that_is_shortened_while_it_is_mapped_breaks_the_connection_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel can't copy what is not there any more; `sendfile` is asked, which says so."""
    path, real, real_sendfile, told = tmp_path / "shrinking", os.write, os.sendfile, list[int]()
    path.write_bytes(content_of(_MIB))

    def shortened(descriptor: int, data: bytes | ctypes.Array[ctypes.c_char]) -> int:
        if isinstance(data, ctypes.Array):
            os.truncate(path, 0)
        return real(descriptor, data)

    def telling(*arguments: int) -> int:
        told.append(real_sendfile(*arguments))
        return told[-1]

    monkeypatch.setattr("entrepot.http1.file_sending.os.write", shortened)
    monkeypatch.setattr("entrepot.http1.file_sending.os.sendfile", telling)
    with capture_logs() as logged:
        async with serving(serve_from(tmp_path)) as server:
            async with server.connected() as client:
                await client.send(get("/shrinking") + get("/well"))
                received = await client.read_to_any_end()
            assert (await server.ask(get("/well"))).status == 200
            await server.until_idle()
    assert received.endswith(b"\r\n\r\n")
    assert b"/well" not in received
    assert [line["log_level"] for line in logged] == ["error"]
    assert told == [0]
