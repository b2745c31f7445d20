"""A registry to import from that misbehaves as it is told: no real one breaks off, redirects and lies on demand."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from aiohttp import web

from entrepot.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["PASSWORD", "USER", "ScriptedRegistry", "Seen", "running"]

USER, PASSWORD = "ann", "canary"
_PAGE = 2


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that came in."""

    method: str
    path: str
    authorization: str | None
    range: str | None


@dataclass(slots=True)
class ScriptedRegistry:
    """Content, what to do wrong, and what was asked.

    Attributes:
        manifests: by repository and reference (tag or digest): body and media type.
        login: what is asked for before anything is answered.
        realm: where tokens are had; its own by default.
        break_after: bytes of a blob after which the connection is cut.
        breaks: how many times that happens.
        pages_at: another server that the next page is said to be at.
        overloaded: how many requests are still to be answered with 429.
        redirect_blobs_to: another server that has the blobs.
        ignores_ranges: whether a range gets the whole blob.
        broken: a part of paths that are answered with status 500.
        lies: whether blobs are other bytes of the same size.
    """

    manifests: dict[str, dict[str, tuple[bytes, str]]] = field(
        default_factory=dict[str, dict[str, tuple[bytes, str]]]
    )
    blobs: dict[str, bytes] = field(default_factory=dict[str, bytes])
    referrers: dict[str, bytes] = field(default_factory=dict[str, bytes])
    login: Literal["none", "basic", "bearer"] = "none"
    realm: str = ""
    break_after: int | None = None
    breaks: int = 1000
    pages_at: str = ""
    overloaded: int = 0
    redirect_blobs_to: str = ""
    ignores_ranges: bool = False
    lies: bool = False
    broken: str = ""
    seen: list[Seen] = field(default_factory=list[Seen])
    url: str = ""

    def add_image(
        self, repository: str, body: bytes, media_type: str, *tags: str, blobs: tuple[bytes, ...] = ()
    ) -> None:
        """Put an image in."""
        found = self.manifests.setdefault(repository, {})
        for reference in (*tags, str(Digest.of_bytes(body))):
            found[reference] = (body, media_type)
        self.blobs.update((str(Digest.of_bytes(blob)), blob) for blob in blobs)

    def tags_of(self, repository: str) -> list[str]:
        """Return the tags of a repository."""
        return sorted(one for one in self.manifests.get(repository, {}) if ":" not in one)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer."""
        self.seen.append(
            Seen(
                request.method,
                request.path_qs,
                request.headers.get("Authorization"),
                request.headers.get("Range"),
            )
        )
        if request.path == "/token":
            return self._token(request)
        if self.overloaded:
            self.overloaded -= 1
            return web.Response(status=429, headers={"Retry-After": "0"})
        if self.broken and self.broken in request.path:
            return web.Response(status=500)
        if self.login != "none" and not self._knows(request):
            return self._challenge()
        return await self._answer(request)

    def _token(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != _basic():
            return web.Response(status=401)
        return web.json_response({"token": f"for:{request.query['scope']}", "expires_in": 60})

    def _knows(self, request: web.Request) -> bool:
        sent = request.headers.get("Authorization", "")
        if self.login == "basic":
            return sent == _basic()
        return sent == f"Bearer for:{self._scope(request)}"

    def _challenge(self) -> web.Response:
        realm = self.realm or f"{self.url}/token"
        text = 'Basic realm="here"' if self.login == "basic" else f'Bearer realm="{realm}",service="here"'
        return web.Response(status=401, headers={"WWW-Authenticate": text})

    def _scope(self, request: web.Request) -> str:
        if request.path == "/v2/_catalog":
            return "registry:catalog:*"
        name = request.path.removeprefix("/v2/")
        for end in ("/tags/", "/manifests/", "/blobs/", "/referrers/"):
            name = name.partition(end)[0]
        return f"repository:{name}:pull"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/v2/_catalog":
            return self._page(request, "repositories", sorted(self.manifests))
        name, _, reference = request.path.removeprefix("/v2/").rpartition("/")
        repository, _, kind = name.rpartition("/")
        match kind:
            case "tags":
                return self._page(request, "tags", self.tags_of(repository))
            case "manifests":
                found = self.manifests.get(repository, {}).get(reference)
                if found is None:
                    return web.Response(status=404)
                digest = str(Digest.of_bytes(found[0]))
                return web.Response(
                    body=found[0], headers={"Content-Type": found[1], "Docker-Content-Digest": digest}
                )
            case "referrers":
                listed = self.referrers.get(f"{repository}@{reference}", b'{"manifests":[]}')
                return web.Response(body=listed, content_type="application/vnd.oci.image.index.v1+json")
            case _:
                return await self._blob(request, reference)

    def _page(self, request: web.Request, member: str, names: list[str]) -> web.Response:
        after = request.query.get("last", "")
        rest = [name for name in names if name > after]
        headers: dict[str, str] = {}
        if len(rest) > _PAGE:
            headers["Link"] = f'<{self.pages_at}{request.path}?n={_PAGE}&last={rest[_PAGE - 1]}>; rel="next"'
        return web.json_response({member: rest[:_PAGE]}, headers=headers)

    async def _blob(self, request: web.Request, reference: str) -> web.StreamResponse:
        if reference not in self.blobs:
            return web.Response(status=404)
        if self.redirect_blobs_to and request.method == "GET":
            return web.Response(status=307, headers={"Location": f"{self.redirect_blobs_to}{request.path}"})
        data = self.blobs[reference]
        if self.lies:
            data = bytes(len(data))
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        partial = start > 0 and not self.ignores_ranges
        if not partial:
            start = 0
        response = web.StreamResponse(status=206 if partial else 200)
        response.content_length = len(data) - start
        if partial:
            response.headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        rest = data[start:]
        if self.break_after is not None and self.breaks and len(rest) > self.break_after:
            self.breaks -= 1
            await response.write(rest[: self.break_after])
            await asyncio.sleep(0.02)
            transport = request.transport
            assert transport is not None
            transport.abort()
            return response
        await response.write(rest)
        return response


def _basic() -> str:
    return f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"


@contextlib.asynccontextmanager
async def running(registry: ScriptedRegistry, host: str = "127.0.0.1") -> AsyncIterator[ScriptedRegistry]:
    """Serve it on a free port of a loopback address."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", registry.handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, 0)
        await site.start()
        port = runner.addresses[0][1]
        registry.url = f"http://{host}:{port}"
        yield registry
    finally:
        await runner.cleanup()
