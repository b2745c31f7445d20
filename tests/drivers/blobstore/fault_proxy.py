"""Stands between the S3 driver and a real store, and does to chosen requests what networks and stores do (F20-F23)."""

from __future__ import annotations

import asyncio
import io
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import aiohttp
from aiohttp import web
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Fault", "FaultProxy", "error_reply"]

_HOP_HEADERS = {"transfer-encoding", "connection", "content-length", "keep-alive"}


@dataclass(slots=True)
class Fault:
    """What happens to the next `times` requests that `matches` says yes to.

    `before` answers instead of the store; `lose_reply` lets the store work and then closes the connection; `cut_after`
    sends only that many bytes of the reply's body; `delay_seconds` keeps the client waiting first.
    """

    matches: Callable[[web.Request], bool]
    times: int = 1
    before: Callable[[], web.Response] | None = None
    lose_reply: bool = False
    cut_after: int | None = None
    delay_seconds: float = 0.0


def error_reply(status: int, code: str) -> Callable[[], web.Response]:
    """Return a maker of the store's usual error document, under any status, 200 included."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>planted</Message></Error>"
    return lambda: web.Response(status=status, text=body, content_type="application/xml")


class FaultProxy:
    """An HTTP proxy on a free port; use as `async with FaultProxy(url) as proxy`."""

    def __init__(self, target_url: str) -> None:
        self._target = URL(target_url)
        self._resources = AsyncExitStack()
        self.faults: list[Fault] = []
        self.seen: list[str] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        self._client = await self._resources.enter_async_context(aiohttp.ClientSession(auto_decompress=False))
        application = web.Application(client_max_size=2**30)
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        self._resources.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._resources.aclose()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.path_qs}")
        body = await request.read()
        fault = self._next_fault(request)
        if fault is None:
            return await self._forward(request, body, None)
        await asyncio.sleep(fault.delay_seconds)
        if fault.before is not None:
            return fault.before()
        if fault.lose_reply:
            await self._forward(request, body, 0)
            return _hang_up(request)
        return await self._forward(request, body, fault.cut_after)

    def _next_fault(self, request: web.Request) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and fault.matches(request):
                fault.times -= 1
                return fault
        return None

    async def _forward(self, request: web.Request, body: bytes, cut_after: int | None) -> web.StreamResponse:
        url = self._target.join(URL(request.raw_path, encoded=True))
        async with self._client.request(
            request.method,
            url,
            headers=request.headers,
            data=io.BytesIO(body),
            skip_auto_headers=("Content-Type",),
        ) as reply:
            content = await reply.read()
            if cut_after == 0:
                return web.Response()
            headers = {
                name: value for name, value in reply.headers.items() if name.lower() not in _HOP_HEADERS
            }
            answer = web.StreamResponse(status=reply.status, headers=headers)
            announced = (
                reply.headers.get("Content-Length", "0") if request.method == "HEAD" else str(len(content))
            )
            answer.headers["Content-Length"] = announced
            await answer.prepare(request)
            if request.method != "HEAD":
                await answer.write(content[:cut_after])
            if cut_after is not None and cut_after < len(content):
                return _hang_up(request)
            await answer.write_eof()
            return answer


def _hang_up(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.close()
    return web.Response()
