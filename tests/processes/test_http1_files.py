"""Files on their way to clients, plain and with TLS: each byte of them, and nothing that is left behind (I12, F41)."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from typing import TYPE_CHECKING, Any, Final

import pytest
from structlog.testing import capture_logs

from entrepot.http1.answer import AnswerError
from entrepot.http1.options import TlsOptions
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.certificates import make_certificate
from tests.processes.http1_files import content_of, make_copies, serve_from
from tests.processes.http1_serving import (
    get,
    message_of,
    open_descriptors,
    serving,
    until_descriptors,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from entrepot.kernel.asgi import Receive, Scope, Send

_MIB: Final = 1 << 20
_SIZES: Final = (0, 1, 64 * 1024, 20 * _MIB)
_BIG: Final = 20 * _MIB
_SMALL_BUFFER: Final = 16 * 1024
_LEAST_BUFFER: Final = 4 * 1024


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a file of each size, named by it."""
    directory = tmp_path_factory.mktemp("files")
    for size in _SIZES:
        (directory / str(size)).write_bytes(content_of(size))
    return directory


@pytest.fixture(scope="module", params=["near", "far", "tls"])
def way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Without TLS, to clients on this machine that are sent copies and as if to others, and with TLS."""
    if request.param == "tls":
        yield {"tls": TlsOptions(*make_certificate(tmp_path_factory.mktemp("tls"), "localhost"), "1.2")}
        return
    with pytest.MonkeyPatch.context() as patched:
        make_copies(patched)
        yield {"is_far": request.param == "far"}


async def test_files_of_all_sizes_arrive_whole_one_after_the_other(files: Path, way: dict[str, Any]) -> None:
    async with serving(serve_from(files), **way) as server, server.connected() as client:
        await client.send(b"".join(get(f"/{size}") + get("/well") for size in _SIZES))
        for size in _SIZES:
            answer = await client.answer()
            assert answer.fields[b"content-length"] == b"%d" % size
            assert answer.body == content_of(size)
            assert (await client.answer()).body == b"GET /well? "


async def test_the_length_of_a_file_is_told_when_the_application_does_not(files: Path) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send(message_of("response.start", status=200))
        await send(message_of("response.pathsend", path=str(files / "65536")))

    async with serving(application) as server, server.connected() as client:
        await client.send(get(version="1.0") + b"")
        answer = await client.answer()
        assert answer.fields[b"content-length"] == b"65536"
        assert answer.body == content_of(65536)


async def test_head_of_a_file_is_its_length_and_nothing_of_it(files: Path, way: dict[str, Any]) -> None:
    async with serving(serve_from(files), **way) as server, server.connected() as client:
        await client.send(get("/65536", method="HEAD") + get("/1"))
        assert (await client.answer("HEAD")).fields[b"content-length"] == b"65536"
        assert (await client.answer()).body == content_of(1)


async def test_f41_a_slow_reader_gets_every_byte(files: Path, way: dict[str, Any]) -> None:
    """Small bites, and a pause when everything between the two is full."""
    async with (
        serving(serve_from(files), **way) as server,
        server.connected(receive_buffer_bytes=_SMALL_BUFFER) as client,
    ):
        await client.send(get(f"/{_BIG}", "Connection: close"))
        received = bytearray()
        while len(received) < _MIB:
            received += await client.receive(50_000)
        await asyncio.sleep(0.2)
        received += await client.read_to_end()
    assert received.partition(b"\r\n\r\n")[2] == content_of(_BIG)


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_i12_clients_that_leave_in_the_middle_leave_nothing_behind(
    files: Path, way: dict[str, Any], how: str
) -> None:
    """No descriptor of a file or a socket, no request, no complaint."""
    async with serving(serve_from(files), **way) as server:
        async with server.connected() as client:
            await client.send(get("/1", "Connection: close"))
            await client.read_to_end()
        await server.until_idle()
        before = open_descriptors()
        for _ in range(8):
            async with server.connected(receive_buffer_bytes=_SMALL_BUFFER) as client:
                await client.send(get(f"/{_BIG}") + get("/1"))
                await client.receive(1000)
                if how == "reset":
                    client.reset()
        await server.until_idle()
        await until_descriptors(before)


async def test_i12_a_client_that_left_while_its_file_was_opened_is_no_fault_of_the_server(
    files: Path, way: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has ended by then is asked for nothing."""
    entered, let_go = threading.Event(), threading.Event()
    real, path = os.open, str(files / "65536")

    def slow(*arguments: Any) -> int:
        if arguments[0] == path:
            entered.set()
            let_go.wait(PATIENCE_SECONDS)
        return real(*arguments)

    monkeypatch.setattr("entrepot.http1.file_sending.os.open", slow)
    with capture_logs() as logged:
        async with serving(serve_from(files), **way) as server:
            async with server.connected() as client:
                await client.send(get("/65536"))
                assert await asyncio.to_thread(entered.wait, PATIENCE_SECONDS)
                client.reset()
                await asyncio.sleep(0.2)
            let_go.set()
            await server.until_idle()
    assert logged == []


async def test_a_file_of_another_size_than_announced_is_500(files: Path, way: dict[str, Any]) -> None:
    before = open_descriptors()
    async with serving(serve_from(files, announced=65535), **way) as server:
        async with server.connected() as client:
            await client.send(get("/65536"))
            answer = await client.answer()
            assert (answer.status, answer.is_last) == (500, True)
        await server.until_idle()
    await until_descriptors(before + 1)


async def test_a_file_that_is_missing_is_500(files: Path) -> None:
    async with serving(serve_from(files, announced=1)) as server:
        assert (await server.ask(get("/missing"))).status == 500
        assert (await server.ask(get("/well"))).status == 200


async def test_a_file_that_is_shortened_while_it_is_sent_breaks_the_connection(
    tmp_path: Path, way: dict[str, Any]
) -> None:
    """The client sees less than was announced, and no answer to its next request within it."""
    path = tmp_path / "shrinking"
    path.write_bytes(bytes(64 * _MIB))
    async with serving(serve_from(tmp_path), **way) as server:
        async with server.connected(receive_buffer_bytes=_SMALL_BUFFER) as client:
            await client.send(get("/shrinking") + get("/well"))
            await client.receive(1000)
            await asyncio.sleep(0.05)
            os.truncate(path, 1000)
            received = await client.read_to_any_end()
        await server.until_idle()
    assert len(received) < 64 * _MIB
    assert b"/well" not in received


async def test_f41_many_clients_get_the_same_file_at_once(files: Path, way: dict[str, Any]) -> None:
    """More of them than there are threads that send."""
    size = 64 * 1024 if "tls" in way else _BIG // 10
    (files / "shared").write_bytes(content_of(size))
    before = open_descriptors()
    async with serving(serve_from(files), **way) as server:
        digests = await asyncio.gather(*(_digest_of(server, "/shared") for _ in range(64)))
        await server.until_idle()
    assert set(digests) == {hashlib.sha256(content_of(size)).hexdigest()}
    await until_descriptors(before + 1)


async def _digest_of(server: Any, path: str) -> str:
    answer = await server.ask(get(path))
    return hashlib.sha256(answer.body).hexdigest()


async def test_readers_that_take_nothing_keep_no_thread_from_the_others_f41(files: Path) -> None:
    stalled = 40
    async with serving(serve_from(files)) as server, asyncio.TaskGroup() as group:
        gate = asyncio.Event()

        async def stall() -> None:
            async with server.connected(receive_buffer_bytes=4096) as client:
                await client.send(get(f"/{_BIG}"))
                await gate.wait()

        for _ in range(stalled):
            group.create_task(stall())
        await asyncio.sleep(0.2)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await server.ask(get("/65536"))).body == content_of(65536)
        gate.set()


@pytest.mark.parametrize("what", ["sendfile", "write", "open"])
async def test_s36_an_application_that_gives_up_a_file_leaves_its_descriptors_to_nobody_else(
    files: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A thread may be busy with them at that moment: whoever got their numbers next would get this file's bytes."""
    entered, let_go = threading.Event(), threading.Event()
    real = getattr(os, what)
    broken: list[OSError] = []
    path = str(files / str(_BIG))

    def slow(*arguments: Any) -> Any:
        if (what == "open" and arguments[0] != path) or (what == "write" and isinstance(arguments[1], bytes)):
            return real(*arguments)
        entered.set()
        let_go.wait(PATIENCE_SECONDS)
        try:
            return real(*arguments)
        except BlockingIOError:
            raise
        except OSError as error:
            broken.append(error)
            raise

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send(message_of("response.start", status=200))
        sending = asyncio.ensure_future(send(message_of("response.pathsend", path=path)))
        await asyncio.to_thread(entered.wait, PATIENCE_SECONDS)
        sending.cancel()
        await sending

    before = open_descriptors()
    monkeypatch.setattr(f"entrepot.http1.file_sending.os.{what}", slow)
    make_copies(monkeypatch)
    async with serving(application, is_far=what == "sendfile") as server:
        async with server.connected() as client:
            await client.send(get())
            reading = asyncio.ensure_future(client.read_to_any_end())
            assert await asyncio.to_thread(entered.wait, PATIENCE_SECONDS)
            await asyncio.sleep(0.2)
            let_go.set()
            received = await reading
        assert received.count(b"HTTP/1.1 ") == 1
        await server.until_idle()
    assert broken == []
    await until_descriptors(before + 1)


async def test_s39_nothing_gets_into_a_file_while_it_is_sent(tmp_path: Path) -> None:
    """Whoever else has the application's `send` is refused, since the length has been told."""
    path = tmp_path / "file"
    path.write_bytes(content_of(_BIG))
    refused: list[Exception] = []

    async def interrupt(send: Send) -> None:
        await asyncio.sleep(0.05)
        try:
            await send(message_of("response.body", body=b"in between", more_body=True))
        except AnswerError as error:
            refused.append(error)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send(message_of("response.start", status=200))
        interrupting = asyncio.create_task(interrupt(send))
        await send(message_of("response.pathsend", path=str(path)))
        await interrupting

    async with (
        serving(application, send_buffer_bytes=_SMALL_BUFFER) as server,
        server.connected(receive_buffer_bytes=_SMALL_BUFFER) as client,
    ):
        await client.send(get())
        await asyncio.sleep(0.1)
        assert (await client.answer()).body == content_of(_BIG)
    assert len(refused) == 1


async def test_i12_where_no_thread_can_be_started_files_wait_for_those_there_are_f10(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work that nobody waited for any more would be done later, with numbers that are others' descriptors by then."""
    let_go = threading.Event()
    sendfile = os.sendfile

    def slow(*arguments: Any) -> int:
        let_go.wait(PATIENCE_SECONDS)
        return sendfile(*arguments)

    async with serving(serve_from(files), is_far=True) as server:
        assert (await server.ask(get("/1", "Connection: close"))).body == content_of(1)
        await server.until_idle()
        before = open_descriptors()
        with monkeypatch.context() as patches:
            patches.setattr("entrepot.http1.file_sending.os.sendfile", slow)
            patches.setattr(threading.Thread, "start", _refuse_to_start)
            asking = [asyncio.create_task(server.ask(get("/65536"))) for _ in range(6)]
            await asyncio.sleep(0.1)
            let_go.set()
            answers = await asyncio.gather(*asking)
        assert [answer.body for answer in answers] == [content_of(65536)] * 6
        await server.until_idle()
        await until_descriptors(before)


async def test_f10_work_is_refused_and_forgotten_where_not_one_thread_can_be_started(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(serve_from(files)) as server:
        with monkeypatch.context() as patches:
            patches.setattr(threading.Thread, "start", _refuse_to_start)
            assert (await server.ask(get("/1"))).status == 500
        await server.until_idle()
        before = open_descriptors()
        assert (await server.ask(get("/1"))).body == content_of(1)
        await server.until_idle()
        await until_descriptors(before)


def _refuse_to_start(_thread: threading.Thread) -> None:
    """As at the limit of a container's processes."""
    raise RuntimeError("can't start new thread")
