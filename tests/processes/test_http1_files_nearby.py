"""Files on their way to clients on the same machine, which get copies, and to others (docs/decisions/0062)."""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pytest
from structlog.testing import capture_logs

from entrepot.http1.mapped_file import mapped_file
from entrepot.http1.recent_effort import RecentEffort
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.http1_files import content_of, serve_from
from tests.processes.http1_serving import (
    get,
    serving,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path


_MIB: Final = 1 << 20
_BIG: Final = 20 * _MIB
_SECONDS_OF_A_SLOW_CLIENT: Final = 0.2


@dataclass
class _Sent:
    """How many bytes at once were mapped to be copied, and how many given to `sendfile`."""

    mapped: list[int] = field(default_factory=list[int])
    shared: list[int] = field(default_factory=list[int])
    beginnings: list[str] = field(default_factory=list[str])
    """Which of the two a file began with, in order."""


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> _Sent:
    """Note how files are sent."""
    noted, real_sendfile = _Sent(), os.sendfile

    def note_mapped(
        descriptor: int, offset: int, size: int
    ) -> AbstractContextManager[ctypes.Array[ctypes.c_char]]:
        noted.mapped.append(size)
        if not offset:
            noted.beginnings.append("copies")
        return mapped_file(descriptor, offset, size)

    def note_shared(*arguments: int) -> int:
        noted.shared.append(arguments[3])
        if not arguments[2]:
            noted.beginnings.append("pages")
        return real_sendfile(*arguments)

    monkeypatch.setattr("entrepot.http1.file_sending.mapped_file", note_mapped)
    monkeypatch.setattr("entrepot.http1.file_sending.os.sendfile", note_shared)
    return noted


async def _pull_slowly(directory: Path, *, is_far: bool = False) -> None:
    """Pull a file as a client that takes much longer for it than the server."""
    (directory / "file").write_bytes(content_of(_BIG))
    async with serving(serve_from(directory), is_far=is_far) as server, server.connected() as client:
        await client.send(get("/file"))
        await asyncio.sleep(_SECONDS_OF_A_SLOW_CLIENT)
        assert (await client.answer()).body == content_of(_BIG)


@pytest.mark.parametrize("is_far", [False, True])
async def test_i12_files_are_copied_for_slow_clients_nearby_a_little_at_once_and_for_no_others(
    tmp_path: Path, sent: _Sent, *, is_far: bool
) -> None:
    """What is mapped counts as memory of the process."""
    await _pull_slowly(tmp_path, is_far=is_far)
    assert sent.shared
    assert bool(sent.mapped) is not is_far
    assert max(sent.mapped, default=0) < 3 * _MIB


def _in_cores(cores: float) -> Callable[[RecentEffort], float]:
    def answer(_: RecentEffort) -> float:
        return cores

    return answer


async def test_f41_files_are_not_copied_while_the_server_is_busy_with_sending(
    tmp_path: Path, sent: _Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    effort = list[float]()

    def note(_: RecentEffort, seconds: float) -> None:
        effort.append(seconds)

    monkeypatch.setattr(RecentEffort, "add", note)
    monkeypatch.setattr(RecentEffort, "in_cores", _in_cores(0.6))
    await _pull_slowly(tmp_path)
    assert not sent.mapped
    assert sum(effort) > 0


async def test_f41_files_are_not_copied_for_a_client_that_keeps_up(
    tmp_path: Path, sent: _Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is this side that it would wait for."""
    monkeypatch.setattr("entrepot.http1.file_sending.time.thread_time", itertools.count().__next__)
    monkeypatch.setattr(RecentEffort, "in_cores", _in_cores(0.0))
    await _pull_slowly(tmp_path)
    assert not sent.mapped


@pytest.mark.parametrize(("cores", "second"), [(0.0, "copies"), (0.6, "pages")])
@pytest.mark.parametrize("is_far", [False, True])
async def test_f41_a_file_begins_with_copies_where_others_under_way_have_shown_that_there_is_time(
    tmp_path: Path, sent: _Sent, monkeypatch: pytest.MonkeyPatch, cores: float, second: str, *, is_far: bool
) -> None:
    """The first of them has shown nothing yet, and once all have ended, the next one is a first again."""
    (tmp_path / "file").write_bytes(content_of(_BIG))
    monkeypatch.setattr(RecentEffort, "in_cores", _in_cores(cores))
    async with serving(serve_from(tmp_path), is_far=is_far) as server:
        async with server.connected() as one, server.connected() as other:
            for number, client in enumerate((one, other), 1):
                await client.send(get("/file"))
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while len(sent.beginnings) < number:  # noqa: ASYNC110  # a thread begins, and tells nobody
                        await asyncio.sleep(0.01)
            for client in (one, other):
                assert (await client.answer()).body == content_of(_BIG)
        await server.until_idle()
        assert (await server.ask(get("/file"))).body == content_of(_BIG)
    assert sent.beginnings == ["pages", "pages" if is_far else second, "pages"]


async def test_i12_a_file_that_can_not_be_mapped_arrives_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a file system that does not know it, or where no descriptor is left."""
    asked = list[int | None]()

    def refuse(*arguments: int | None) -> int | None:
        asked.append(arguments[1])
        return ctypes.c_void_p(-1).value

    monkeypatch.setattr("entrepot.http1.mapped_file._mmap", refuse)
    await _pull_slowly(tmp_path)
    assert asked


async def test_i12_a_file_that_is_shortened_while_it_is_mapped_breaks_the_connection_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel can't copy what is not there any more; `sendfile` is asked, which says so."""
    path, real, real_sendfile, told = tmp_path / "shrinking", os.write, os.sendfile, list[int]()
    path.write_bytes(content_of(_BIG))

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
                await asyncio.sleep(_SECONDS_OF_A_SLOW_CLIENT)
                received = await client.read_to_any_end()
            assert (await server.ask(get("/well"))).status == 200
            await server.until_idle()
    assert received.partition(b"\r\n\r\n")[2] == content_of(_BIG)[: sum(told)]
    assert b"/well" not in received
    assert [line["log_level"] for line in logged] == ["error"]
    assert told[-1] == 0
