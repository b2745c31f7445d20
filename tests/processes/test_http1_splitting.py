"""However what a client sends is cut into pieces, it means the same; and nothing that it sends does harm (S39).

The pieces are handed to the connection itself, so that they are cut where the test wants them cut.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.blackbox.hostile_requests import hostile_requests
from tests.processes.http1_serving import chunked, get, give, post, read_body, reply, serving

if TYPE_CHECKING:
    from entrepot.kernel.asgi import Receive, Scope, Send

_DATE: Final = re.compile(rb"date: [^\r]*\r\n")
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
"""Of no meaning, and only sent when the body has not come along with its head."""
_UPGRADE: Final = ("Connection: Upgrade", "Upgrade: websocket")

_REQUESTS: Final = st.sampled_from(
    [
        get("/a?b=c"),
        get("/head", method="HEAD"),
        get("/old", "Connection: keep-alive", version="1.0"),
        get("/upgrade", *_UPGRADE),
        post(b"body", "/short"),
        post(b"", "/empty"),
        post(get("/canary"), "/hidden"),
        post(get("/canary"), "/upgrading", *_UPGRADE),
        post(b"body" * 1000, "/long", "X-Long: " + "a" * 3000),
        chunked([b"a", b"bc", b"d" * 300], "/chunks"),
        chunked([get("/canary")], "/upgrading-chunks", *_UPGRADE),
        chunked([], "/no-chunks").replace(b"0\r\n\r\n", b"0\r\nX-Trailer: a\r\n\r\n"),
        b"\r\n" + get("/after-an-empty-line"),
    ]
)
_LASTS: Final = st.sampled_from(
    [
        b"",
        get("/last", "Connection: close"),
        get("/last", version="1.0"),
        get("/unfinished")[:-3],
        b"GARBAGE\x00\r\n\r\n",
        get("/", "Bad Name: x"),
        get("other:443", method="CONNECT"),
        get("/fields", *(f"X-{number}: a" for number in range(101))),
        chunked([b"body"], "/broken")[:-9] + b"no size\r\n",
        *(hostile.raw for hostile in hostile_requests() if len(hostile.raw) < 2000),
    ]
)
_STREAMS: Final = st.tuples(st.lists(_REQUESTS, max_size=5), _LASTS).map(
    lambda made: b"".join(made[0]) + made[1]
)
_CUTS: Final = st.one_of(st.just("bytes"), st.lists(st.integers(1, 400), min_size=1, max_size=20))
_SLOW: Final = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


def _pieces(stream: bytes, cuts: str | list[int]) -> list[bytes]:
    if isinstance(cuts, str):
        return [stream[at : at + 1] for at in range(len(stream))]
    pieces: list[bytes] = []
    at, turn = 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        pieces.append(stream[at : at + size])
        at, turn = at + size, turn + 1
    return pieces


async def _outcome(
    pieces: list[bytes], *, pause: bool
) -> tuple[list[tuple[str, bytes, bytes | None]], bytes]:
    """Return what the application was asked, and what the client has read (without dates) until the end or a pause."""
    asked: list[tuple[str, bytes, bytes | None]] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        asked.append((scope["method"], scope["raw_path"], body))
        await reply(send, scope["raw_path"], status=400 if body is None else 200)

    async with serving(application) as server, server.connected() as client:
        while not server.listener.connections:  # noqa: ASYNC110  # a turn or two of the loop
            await asyncio.sleep(0)
        (connection,) = server.listener.connections
        for piece in pieces:
            give(connection, piece)
            if pause:
                await asyncio.sleep(0)
                await asyncio.sleep(0)
        for _ in range(30):
            await asyncio.sleep(0)
        client.finish()
        received = await client.read_to_end()
    return asked, _DATE.sub(b"", received).replace(_CONTINUE, b"")


@settings(max_examples=50, deadline=None, suppress_health_check=_SLOW)
@given(stream=_STREAMS, cuts=_CUTS)
def test_s39_pieces_mean_what_the_whole_means(stream: bytes, cuts: str | list[int]) -> None:
    """The same requests reach the application, and the client reads the same answers."""
    whole = uvloop.run(_outcome([stream], pause=False))
    assert uvloop.run(_outcome(_pieces(stream, cuts), pause=True)) == whole
    assert not any(path == b"/canary" for _, path, _ in whole[0]) or b"POST" in stream


@settings(max_examples=50, deadline=None, suppress_health_check=_SLOW)
@given(
    before=st.lists(_REQUESTS, max_size=2),
    garbage=st.one_of(
        st.binary(max_size=300),
        st.lists(
            st.sampled_from(
                [
                    *(
                        b"GET ",
                        b"POST",
                        b" / HTTP/1.1",
                        b"\r\n",
                        b"\n",
                        b"\r",
                        b":",
                        b" ",
                        b"\t",
                        b"\x00",
                        b"\xff",
                    ),
                    *(
                        b"Content-Length",
                        b"Transfer-Encoding",
                        b"chunked",
                        b"0",
                        b"5",
                        b"PRI * HTTP/2.0",
                        b",",
                    ),
                    *(
                        b"Upgrade: x\r\n",
                        b"Connection: upgrade\r\n",
                        b"Expect: 100-continue\r\n",
                        b"Host: x\r\n",
                    ),
                    *(
                        b"http://",
                        b"*",
                        b"%",
                        b"?",
                        b"#",
                        b"CONNECT ",
                        b"SOURCE ",
                        b"RTSP/1.0",
                        b"\x16\x03\x01",
                    ),
                ]
            ),
            max_size=40,
        ).map(b"".join),
    ),
    cuts=_CUTS,
)
def test_s39_garbage_is_refused_or_answered_and_harms_nobody(
    before: list[bytes], garbage: bytes, cuts: str | list[int]
) -> None:
    """Nothing is raised, nothing hangs, and every byte that comes back belongs to an answer."""
    stream = b"".join(before) + garbage
    _, received = uvloop.run(_outcome(_pieces(stream, cuts), pause=True))
    while received:
        head, found, rest = received.partition(b"\r\n\r\n")
        assert found
        assert re.match(rb"HTTP/1\.1 [2-5][0-9][0-9] ", head), head
        length = re.search(rb"content-length: ([0-9]+)", head)
        assert length is not None, head
        is_head = rest.startswith(b"HTTP/1.1 ") or not rest
        received = rest if is_head else rest[int(length[1]) :]


_DETERMINED: Final = [
    b"".join((post(b"x" * 100, "/one", *_UPGRADE), get("/two"), chunked([b"abc"], "/three"))),
    get("/one") + get("/two") + b"\x00\r\n\r\n",
    get("/one") + get("/two", "Connection: close") + get("/three"),
]


def test_s39_some_streams_mean_the_same_at_every_single_cut() -> None:
    for stream in _DETERMINED:
        whole = uvloop.run(_outcome([stream], pause=False))
        for at in range(1, len(stream), 7):
            assert uvloop.run(_outcome([stream[:at], stream[at:]], pause=True)) == whole, stream[:at]
