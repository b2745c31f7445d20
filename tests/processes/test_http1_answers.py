"""What the application sends, as the client gets it: whole, or visibly broken, and never two meanings (S39)."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

from entrepot.http1.answer import _layout
from entrepot.http1.options import TlsOptions
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.certificates import make_certificate
from tests.processes.http1_serving import NoAnswerError, chunked, get, message_of, post, reply, serving, tell

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.kernel.asgi import Application, Receive, Scope, Send

_PIECES: Final = (b"one", b"", b"x" * 100_000, b"three")


async def _stream(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer in pieces of which nobody knows how many there are."""
    await send(message_of("response.start", status=200, headers=[]))
    for piece in _PIECES:
        await send(message_of("response.body", body=piece, more_body=True))
    await send(message_of("response.body"))


def _sending(*messages: dict[str, Any]) -> Application:
    """An application that sends these messages, whatever it is asked; at /well it answers well."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/well":
            await tell(scope, receive, send)
            return
        for message in messages:
            await send(message)

    return application


def _start(*fields: tuple[bytes, bytes], status: int = 200) -> dict[str, Any]:
    return message_of("response.start", status=status, headers=list(fields))


def _piece(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return message_of("response.body", body=body, more_body=more)


async def test_an_answer_of_unknown_length_is_chunked_and_the_connection_goes_on() -> None:
    async with serving(_stream) as server, server.connected() as client:
        await client.send(get() + get())
        for _ in range(2):
            answer = await client.answer()
            assert answer.fields[b"transfer-encoding"] == b"chunked"
            assert answer.body == b"".join(_PIECES)


@pytest.mark.parametrize("wish", [(), ("Connection: keep-alive",)])
async def test_an_answer_of_unknown_length_ends_with_the_connection_in_http_1_0(
    wish: tuple[str, ...],
) -> None:
    async with serving(_stream) as server, server.connected() as client:
        await client.send(get("/", *wish, version="1.0"))
        answer = await client.answer()
        assert b"transfer-encoding" not in answer.fields
        assert (answer.is_last, answer.body) == (True, b"".join(_PIECES))


async def test_http_1_0_keeps_a_connection_that_its_client_wants_kept() -> None:
    async with serving(tell) as server, server.connected() as client:
        for _ in range(2):
            await client.send(get("/", "Connection: keep-alive", version="1.0"))
            assert (await client.answer()).fields[b"connection"] == b"keep-alive"
        await client.send(get("/", version="1.0"))
        assert (await client.answer()).is_last
        await client.expect_end()


@pytest.mark.parametrize("application", [_stream, tell, _sending(_start(), _piece(b"whole"))])
async def test_head_has_no_body_and_the_next_answer_begins_at_its_place(application: Application) -> None:
    async with serving(application) as server, server.connected() as client:
        await client.send(get("/", method="HEAD") + get("/", method="HEAD") + get())
        for method in ("HEAD", "HEAD", "GET"):
            assert (await client.answer(method)).status == 200


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("body", [b"", b"which must not be sent"])
async def test_s39_statuses_without_a_body_have_none_whatever_the_application_sends(
    status: int, body: bytes
) -> None:
    async with serving(_sending(_start(status=status), _piece(body))) as server, server.connected() as client:
        await client.send(get() + get("/well"))
        answer = await client.answer()
        assert answer.status == status
        assert not answer.fields.keys() & {b"content-length", b"transfer-encoding"}
        assert (await client.answer()).body == b"GET /well? "


@pytest.mark.parametrize(
    "end", [b"\r", b"\n", b"\r\n", b"\r\nx-injected: yes", b"\nx-injected: yes", b"\rx: y"]
)
@pytest.mark.parametrize("place", ["name", "value"])
async def test_s39_a_line_end_in_a_header_never_reaches_the_wire(end: bytes, place: str) -> None:
    field = (b"x-a" + end, b"b") if place == "name" else (b"x-a", b"b" + end + b"c")
    async with serving(_sending(_start(field), _piece(b"body"))) as server, server.connected() as client:
        await client.send(get("/", "Connection: close"))
        received = await client.read_to_end()
    assert received.startswith(b"HTTP/1.1 500 ")
    assert b"x-" not in received
    assert b"body" not in received


async def _all_of_five_bytes(*pieces: dict[str, Any]) -> bytes:
    """Return all that a client gets to a request, and another one behind it, when 5 bytes are announced."""
    application = _sending(_start((b"content-length", b"5")), *pieces)
    async with serving(application) as server, server.connected() as client:
        await client.send(get() + get("/well"))
        return await client.read_to_any_end()


@pytest.mark.parametrize("is_whole", [False, True])
async def test_s39_a_body_longer_than_announced_breaks_the_connection(is_whole: bool) -> None:
    """No client takes the rest for the beginning of the next answer."""
    pieces = [_piece(b"1234567")] if is_whole else [_piece(b"123", more=True), _piece(b"4567")]
    received = await _all_of_five_bytes(*pieces)
    head, _, body = received.partition(b"\r\n\r\n")
    assert len(body) < 5 or head.startswith(b"HTTP/1.1 500 ")
    assert b"/well" not in received
    assert b"67" not in body


@pytest.mark.parametrize("is_whole", [False, True])
async def test_s39_a_body_shorter_than_announced_breaks_the_connection(is_whole: bool) -> None:
    pieces = [_piece(b"1234")] if is_whole else [_piece(b"12", more=True), _piece(b"34")]
    received = await _all_of_five_bytes(*pieces)
    assert len(received.partition(b"\r\n\r\n")[2]) < 5
    assert b"/well" not in received


@pytest.mark.parametrize("value", [b"abc", b"-1", b"", b"5, 5", b"+5", b"1_0"])
async def test_s39_a_length_that_is_none_never_reaches_the_wire(value: bytes) -> None:
    application = _sending(_start((b"content-length", value)), _piece(b"12345"))
    async with serving(application) as server, server.connected() as client:
        await client.send(get("/", "Connection: close"))
        received = await client.read_to_any_end()
    assert b"content-length: " + value + b"\r\n" not in received


@pytest.mark.parametrize(
    "fields",
    [
        ((b"transfer-encoding", b"chunked"),),
        ((b"transfer-encoding", b"chunked"), (b"content-length", b"4")),
        ((b"content-length", b"4"), (b"content-length", b"2")),
        ((b"Content-Length", b"4"),),
    ],
    ids=["coding", "coding and length", "two lengths", "upper case"],
)
async def test_s39_an_answer_has_one_framing_whatever_the_application_says(
    fields: tuple[tuple[bytes, bytes], ...],
) -> None:
    """The client here refuses two; either one is left, or the answer is 500, or there is none."""
    async with serving(_sending(_start(*fields), _piece(b"body"))) as server, server.connected() as client:
        await client.send(get("/", "Connection: close"))
        received = await client.read_to_any_end()
    head, _, body = received.lower().partition(b"\r\n\r\n")
    if head.startswith(b"http/1.1 200 "):
        assert head.count(b"content-length:") + head.count(b"transfer-encoding:") == 1, head
        assert body in {b"body", b"4\r\nbody\r\n0\r\n\r\n"}
    else:
        assert not head or head.startswith(b"http/1.1 500 ")


async def test_an_application_that_says_close_says_it_once() -> None:
    async with serving(_sending(_start((b"connection", b"close")), _piece(b""))) as server:
        assert (await server.ask(get())).is_last


@pytest.mark.parametrize("status", [100, 101, 103])
async def test_s39_a_status_before_the_answer_is_no_answer(status: int) -> None:
    """A client would wait for another head, and take the next answer for this one."""
    async with serving(_sending(_start(status=status), _piece(b"body"))) as server:
        assert (await server.ask(get())).status == 500


@pytest.mark.parametrize("messages", [(), (_start(),)], ids=["nothing", "a head that was held back"])
async def test_an_application_that_returns_without_an_answer_answers_500(
    messages: tuple[dict[str, Any], ...], capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(_sending(*messages)) as server:
        answer = await server.ask(get())
        assert (answer.status, answer.is_last) == (500, True)
        assert "exchange.unanswered" in capsys.readouterr().out
        assert (await server.ask(get("/well"))).status == 200


async def test_nobody_complains_where_a_client_left_without_an_answer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async with serving(application) as server:
        async with server.connected() as client:
            await client.send(get())
        await server.until_idle()
    assert "exchange." not in capsys.readouterr().out


async def test_what_others_have_cancelled_breaks_an_application_as_an_exception_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Somebody waited for the same thing and gave up: the client is told, and the log says where."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        shared = asyncio.get_running_loop().create_future()
        shared.cancel()
        await shared

    async with serving(application) as server:
        answer = await server.ask(get())
    assert (answer.status, answer.is_last) == (500, True)
    assert "exchange.broken" in capsys.readouterr().out


async def test_an_application_that_returns_within_its_answer_breaks_the_connection() -> None:
    async with (
        serving(_sending(_start(), _piece(b"part", more=True))) as server,
        server.connected() as client,
    ):
        await client.send(get() + get("/well"))
        with pytest.raises(NoAnswerError):
            await client.answer()


async def test_an_answer_that_begins_twice_is_500() -> None:
    async with serving(_sending(_start(), _start(), _piece(b"body"))) as server:
        assert (await server.ask(get())).status == 500


async def test_a_body_without_a_head_is_500() -> None:
    async with serving(_sending(_piece(b"body"))) as server:
        assert (await server.ask(get())).status == 500


async def test_a_message_that_nobody_knows_is_500() -> None:
    async with serving(_sending(_start(), message_of("response.trailers"))) as server:
        assert (await server.ask(get())).status == 500


async def test_s39_what_is_sent_after_the_end_reaches_nobody_and_the_next_answer_is_right() -> None:
    application = _sending(_start(), _piece(b"whole"), _piece(b"after the end"))
    async with serving(application) as server, server.connected() as client:
        await client.send(get() + get("/well"))
        assert (await client.answer()).body == b"whole"
        assert (await client.answer()).body == b"GET /well? "


async def test_an_exception_after_the_answer_changes_nothing_of_it() -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, b"whole")
        raise RuntimeError("broken by a test")

    async with serving(application) as server, server.connected() as client:
        await client.send(get() + get())
        assert [(await client.answer()).body for _ in range(2)] == [b"whole", b"whole"]


async def test_after_its_answer_an_application_is_told_that_there_is_no_client_any_more() -> None:
    """As ASGI has it; who went on waiting would keep the next request waiting too."""
    told: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await tell(scope, receive, send)
        told.append((await receive())["type"])

    async with serving(application) as server, server.connected() as client:
        await client.send(post(b"a") + chunked([b"b"]))
        assert [(await client.answer()).body for _ in range(2)] == [b"POST /? a", b"POST /? b"]
    assert told == ["http.disconnect"] * 2


async def test_i12_a_client_that_does_not_read_stops_the_application() -> None:
    """What waits between the two is what the kernel holds and two pieces more."""
    sent_bytes = 0

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent_bytes
        await send(_start())
        for _ in range(1000):
            await send(_piece(bytes(65536), more=True))
            sent_bytes += 65536
        await send(_piece(b""))

    async with serving(application) as server:
        async with server.connected(receive_buffer_bytes=4096) as client:
            await client.send(get())
            connection = await server.the_connection()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not connection.channel.is_congested:  # noqa: ASYNC110  # which tells senders only
                    await asyncio.sleep(0.005)
            await asyncio.sleep(0.2)
            held_bytes = sent_bytes
            assert connection.channel.is_congested
            client.reset()
        await server.until_idle()
    assert held_bytes < 8 << 20


@pytest.mark.parametrize("kind", ["plain", "tls"])
async def test_the_end_of_an_answer_waits_for_a_client_that_is_slow_to_take_it(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application is done and the connection ends, but the last bytes fit into no buffer yet."""
    monkeypatch.setattr("entrepot.http1.channel._LINGER_SECONDS", 0.2)
    content = bytes(32 * 1024)
    is_sent = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send(_start())
        for _ in range(20):
            await send(_piece(content, more=True))
        await send(_piece(b"the end"))
        is_sent.set()

    options = TlsOptions(*make_certificate(tmp_path, "localhost"), "1.2") if kind == "tls" else None
    async with (
        serving(application, tls=options, header_timeout_seconds=0.8, send_buffer_bytes=16 * 1024) as server,
        server.connected(receive_buffer_bytes=8 * 1024) as client,
    ):
        await client.send(get("/", "Connection: close"))
        received = 0
        while not is_sent.is_set():
            received += len(await client.receive(4096))
        await asyncio.sleep(0.6)
        rest = await client.read_to_any_end()
    assert rest.endswith(b"7\r\nthe end\r\n0\r\n\r\n")
    assert received + len(rest) > 20 * len(content)


async def test_the_end_of_an_answer_to_who_has_said_all_is_nobodys_complaint() -> None:
    """Its last bytes fit into no buffer yet, and the connection is closed behind them; `serving` counts complaints."""
    content = bytes(32 * 1024)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send(_start())
        for _ in range(20):
            await send(_piece(content, more=True))
        await send(_piece(b"the end"))

    async with serving(application, send_buffer_bytes=16 * 1024) as server:
        async with server.connected(receive_buffer_bytes=8 * 1024) as client:
            await client.send(get())
            client.finish()
            await asyncio.sleep(0.1)
            assert (await client.answer()).body == content * 20 + b"the end"
            await client.expect_end()
        await server.until_idle()


async def test_a_status_without_a_body_leaves_the_500_in_its_place_its_own() -> None:
    application = _sending(_start((b"x-a", b"b\r\n"), status=304), _piece(b""))
    async with serving(application) as server:
        answer = await server.ask(get())
    assert (answer.status, answer.body) == (500, b"Internal Server Error\n")


async def test_s39_fields_come_as_they_were_said_each_with_the_value_of_its_own_answer() -> None:
    """Heads of the same names are rendered alike: signs of percent, repeated names, and the framing between."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        query: bytes = scope["query_string"]
        fields = ((b"X-%b", query), (b"a", b"%d"), (b"Content-Length", b"4"), (b"a", query), (b"z", b""))
        await send(_start(*fields))
        await send(_piece(b"body"))

    heads: list[bytes] = []
    async with serving(application) as server:
        for query in ("first", "%62", "third"):
            async with server.connected() as client:
                await client.send(get(f"/?{query}", "Connection: close"))
                head, _, body = (await client.read_to_end()).partition(b"\r\ndate: ")
                assert body.endswith(b"\r\n\r\nbody")
                heads.append(head)
    expected = (
        b"HTTP/1.1 200 OK\r\nX-%%b: %b\r\na: %%d\r\na: %b\r\nz: \r\ncontent-length: 4\r\nconnection: close"
    )
    assert heads == [expected % (query, query) for query in (b"first", b"%62", b"third")]


async def test_i12_of_heads_that_were_sent_few_names_are_kept_and_no_value() -> None:
    kept = _layout.cache_info
    value = b"secret" * 1000
    references = sys.getrefcount(value)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send(_start((b"x-" + scope["query_string"], b"1"), (b"x-secret", value)))
        await send(_piece(b"whole"))

    async with serving(application) as server:
        async with server.connected() as client:
            for number in range(2 * (kept().maxsize or 0)):
                await client.send(get(f"/?{number}"))
                assert (await client.answer()).fields[b"x-%d" % number] == b"1"
        await server.until_idle()
    assert kept().currsize == kept().maxsize == 256
    assert sys.getrefcount(value) == references
