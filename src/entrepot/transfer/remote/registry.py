"""Reads images from a running registry through the OCI distribution API, as any client does."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote

import msgspec
from yarl import URL

from entrepot.oci.digest import Digest, InvalidDigestError
from entrepot.oci.manifest import MAX_MANIFEST_BYTES
from entrepot.oci.media_types import ACCEPTED_MANIFEST_TYPES, SCHEMA1_TYPES
from entrepot.transfer.errors import (
    ContentMissingError,
    SourceDamagedError,
    SourceError,
    SourceUnavailableError,
    SourceUnusableError,
)
from entrepot.transfer.manifest_kinds import describe_manifest
from entrepot.transfer.remote.connection import (
    BROKEN_CONNECTION,
    Connection,
    ConnectionOptions,
    pause_before,
    read_capped,
)
from entrepot.transfer.source import ByteStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    import aiohttp

    from entrepot.oci.descriptor import Descriptor
    from entrepot.transfer.source import SourceManifest

__all__ = ["RemoteRegistry", "parse_registry_url"]

_PAGE: Final = 1000
_LARGEST_PAGE_BYTES: Final = 32 * 1024 * 1024
_CHUNK_BYTES: Final = 256 * 1024
_MOST_INTERRUPTIONS: Final = 6
_NEXT: Final = re.compile(r'<([^<>]{1,4096})>\s*;\s*rel="?next"?', re.IGNORECASE)
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,20})-\d{1,20}/(?:\d{1,20}|\*)\Z")
_DOCKER_HUB: Final = frozenset({"docker.io", "index.docker.io", "hub.docker.com", "www.docker.com"})
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# Wanted types first; schema 1 last, so that an image that has nothing else can be named as what it is.
_ACCEPT: Final = ", ".join(
    (*sorted(ACCEPTED_MANIFEST_TYPES), *(f"{one};q=0.1" for one in sorted(SCHEMA1_TYPES)))
)


_Decoded = TypeVar("_Decoded")


class _Names(msgspec.Struct, frozen=True):
    repositories: list[str] | None = None
    tags: list[str] | None = None


class _Referrer(msgspec.Struct, frozen=True):
    digest: str


class _Referrers(msgspec.Struct, frozen=True):
    manifests: list[_Referrer] | None = None


def parse_registry_url(text: str, *, insecure_http: bool) -> URL:
    """Read the address of a registry, as `https://registry.example.com:5000`.

    Raises:
        SourceUnusableError: it has another form, or is http to another machine without `insecure_http`.
    """
    try:
        url = URL(text)
    except ValueError as error:
        raise SourceUnusableError(f"--from {text}: {error}") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise SourceUnusableError(f"--from {text}: an address begins with https:// or http://")
    if url.user is not None or url.password is not None:
        raise SourceUnusableError(
            "--from: a password in the address can be read by everybody on this machine; "
            "use --username and --password-file"
        )
    if url.path.rstrip("/") not in {"", "/v2"} or url.query_string or url.fragment:
        raise SourceUnusableError(
            f"--from {text}: give the registry alone, and repositories with --repository"
        )
    if url.scheme == "http" and not insecure_http and url.host not in _LOOPBACK:
        raise SourceUnusableError(
            f"--from {text}: http is neither private nor protected from changes on the way; "
            "add --insecure-http if that is wanted"
        )
    if url.host in _DOCKER_HUB:
        return URL("https://registry-1.docker.io/")
    return url.origin().with_path("/")


class RemoteRegistry:
    """An :class:`ImageSource` on a running registry."""

    def __init__(self, base: URL, options: ConnectionOptions) -> None:
        self._connection = Connection(base, options)
        self._base = base
        self._has_referrers = True

    @property
    def description(self) -> str:
        """Kind and place."""
        return f"the registry {self._base}"

    @property
    def lists_untagged(self) -> bool:
        """There is no such request."""
        return False

    async def repositories(self) -> AsyncIterator[str]:
        """Yield the catalog."""
        target: str | None = f"/v2/_catalog?n={_PAGE}"
        try:
            while target is not None:
                names, target = await self._page(target, "registry:catalog:*")
                for name in (names.repositories or ()) if names is not None else ():
                    yield name
                if names is None:
                    raise ContentMissingError("status 404")
        except SourceError as error:
            raise SourceUnusableError(
                f"{self._base.host} does not list its repositories ({error}): name them with --repository"
            ) from None

    async def tags(self, repository: str) -> AsyncIterator[str]:
        """Yield the tags of a repository, page by page."""
        target: str | None = f"{_path(repository)}/tags/list?n={_PAGE}"
        while target is not None:
            names, target = await self._page(target, _scope(repository))
            for tag in (names.tags or ()) if names is not None else ():
                yield tag

    async def resolve(self, repository: str, tag: str) -> Digest:
        """Ask for the head only, which costs nothing of what registries count as pulls."""
        target = f"{_path(repository)}/manifests/{quote(tag, safe='')}"
        headers = {"Accept": _ACCEPT}
        async with self._connection.request("HEAD", target, _scope(repository), headers) as response:
            _require(response, f"{repository}:{tag}")
            written = response.headers.get("Docker-Content-Digest", "")
        with contextlib.suppress(InvalidDigestError):
            return Digest.parse(written)
        async with self._connection.request("GET", target, _scope(repository), headers) as response:
            _require(response, f"{repository}:{tag}")
            return Digest.of_bytes(await read_capped(response, MAX_MANIFEST_BYTES))

    async def untagged(self, repository: str) -> AsyncIterator[Digest]:
        """Yield nothing: there is no request that lists manifests without a tag."""
        nothing: tuple[Digest, ...] = ()
        for digest in nothing:
            yield digest

    async def referrers(self, repository: str, subject: Digest) -> AsyncIterator[Digest]:
        """Ask the referrers API; lists that clients keep under tags come with the tags."""
        target: str | None = f"{_path(repository)}/referrers/{subject}"
        while target is not None and self._has_referrers:
            async with self._connection.request("GET", target, _scope(repository)) as response:
                if response.status == 404:
                    self._has_referrers = False
                if response.status != 200:
                    return
                found = _decode(await read_capped(response, _LARGEST_PAGE_BYTES), _Referrers, target)
                target = _next_page(response)
            for entry in found.manifests or ():
                with contextlib.suppress(InvalidDigestError):
                    yield Digest.parse(entry.digest)

    async def manifest(self, repository: str, digest: Digest) -> SourceManifest:
        """Read a manifest by its digest."""
        target = f"{_path(repository)}/manifests/{digest}"
        async with self._connection.request(
            "GET", target, _scope(repository), {"Accept": _ACCEPT}
        ) as response:
            _require(response, f"the manifest {digest}")
            body = await read_capped(response, MAX_MANIFEST_BYTES)
            media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return describe_manifest(body, digest, media_type or None)

    async def confirm_blob(self, repository: str, blob: Descriptor) -> None:
        """Ask for the head."""
        target = f"{_path(repository)}/blobs/{blob.digest}"
        async with self._connection.request("HEAD", target, _scope(repository)) as response:
            _require(response, f"the blob {blob.digest}")

    async def open_blob(self, repository: str, blob: Descriptor) -> ByteStream:
        """Return a stream that goes on where the connection broke."""
        return ByteStream(self._read(repository, blob))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._connection.aclose()

    async def _read(self, repository: str, blob: Descriptor) -> AsyncGenerator[bytes]:
        offset, interruptions = 0, 0
        while offset < blob.size:
            reason = "the reply ended too early"
            try:
                async with self._open_at(repository, blob, offset) as response:
                    skipped = _bytes_to_skip(response, offset)
                    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                        wanted = chunk[skipped:]
                        skipped -= len(chunk) - len(wanted)
                        if offset + len(wanted) > blob.size:
                            raise SourceDamagedError(f"{self._base.host} sends too much for {blob.digest}")
                        if wanted:
                            offset += len(wanted)
                            interruptions = 0
                            yield wanted
            except BROKEN_CONNECTION as error:
                reason = str(error) or type(error).__name__
            if offset < blob.size:
                if interruptions == _MOST_INTERRUPTIONS:
                    raise SourceUnavailableError(
                        f"{self._base.host} breaks off {blob.digest} at {offset}: {reason}"
                    )
                await asyncio.sleep(
                    pause_before(interruptions, self._connection.options.first_pause_seconds, None)
                )
                interruptions += 1

    @contextlib.asynccontextmanager
    async def _open_at(
        self, repository: str, blob: Descriptor, offset: int
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        target = f"{_path(repository)}/blobs/{blob.digest}"
        async with self._connection.request("GET", target, _scope(repository), headers) as response:
            _require(response, f"the blob {blob.digest}")
            yield response

    async def _page(self, target: str, scope: str) -> tuple[_Names | None, str | None]:
        """Return a page of names and where the next one is; no names when there is no such list."""
        async with self._connection.request("GET", target, scope) as response:
            if response.status == 404:
                return None, None
            if response.status != 200:
                raise SourceError(f"{self._base.host} answers {target} with status {response.status}")
            names = _decode(await read_capped(response, _LARGEST_PAGE_BYTES), _Names, target)
            return names, _next_page(response)


def _path(repository: str) -> str:
    return f"/v2/{quote(repository, safe='/')}"


def _scope(repository: str) -> str:
    return f"repository:{repository}:pull"


def _require(response: aiohttp.ClientResponse, what: str) -> None:
    if response.status in {404, 410}:
        raise ContentMissingError(f"{response.url.host} does not have {what}")
    if response.status not in {200, 206}:
        raise SourceError(f"{response.url.host} answers with status {response.status} for {what}")


def _bytes_to_skip(response: aiohttp.ClientResponse, offset: int) -> int:
    """Return how many bytes of a reply were received before: a server may ignore that only a range is wanted."""
    if response.status == 200:
        return offset
    match = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    if match is None or int(match.group(1)) != offset:
        raise SourceDamagedError(f"{response.url.host} sends another range than was asked for")
    return 0


def _next_page(response: aiohttp.ClientResponse) -> str | None:
    match = _NEXT.search(response.headers.get("Link", ""))
    return match.group(1) if match is not None else None


def _decode(body: bytes, shape: type[_Decoded], target: str) -> _Decoded:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"the answer to {target} is unreadable: {error}") from None
