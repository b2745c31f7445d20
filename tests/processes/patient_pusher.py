"""Pushes images as Docker Engine does: each layer by POST, PATCH and PUT, and again, a few times, after a failure."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import httpx

from tests.blackbox.material.images import digest_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.blackbox.material.images import Image

__all__ = ["PatientPusher", "PushFailedError"]

_ATTEMPTS: Final = 5
_PAUSE_SECONDS: Final = 2.5
"""Docker waits twice as long: the first pause is as long as this one times one, the next two, and so on."""
_PIECES: Final = 8
_MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"


class PushFailedError(AssertionError):
    """A push was given up: the client command would have failed."""


class PatientPusher:
    """One client with one connection. `retries` tells what had to be tried again, and why."""

    def __init__(self, url: str, repository: str, seconds_per_layer: float) -> None:
        self._repository = f"{url}/v2/{repository}"
        self._base = url
        self._seconds_per_layer = seconds_per_layer
        self.retries: list[str] = []

    async def push(self, image: Image, tag: str) -> None:
        """Push every blob, then the manifest.

        Raises:
            PushFailedError: one of them could not be pushed, however often it was tried.
        """
        async with httpx.AsyncClient(timeout=60) as client:
            for blob in image.blobs:
                await self._patiently(partial(self._push_blob, client, blob))
            await self._patiently(partial(self._push_manifest, client, image.manifest, tag))

    async def _patiently(self, attempt: Callable[[], Awaitable[None]]) -> None:
        for number in range(1, _ATTEMPTS + 1):
            try:
                await attempt()
            except (httpx.TransportError, httpx.HTTPStatusError) as error:
                self.retries.append(repr(error))
                await asyncio.sleep(_PAUSE_SECONDS * number)
            else:
                return
        raise PushFailedError(f"given up after {_ATTEMPTS} attempts: {self.retries}")

    async def _push_blob(self, client: httpx.AsyncClient, blob: bytes) -> None:
        digest = digest_of(blob)
        if (await client.head(f"{self._repository}/blobs/{digest}")).status_code == 200:
            return
        began = _accepted(await client.post(f"{self._repository}/blobs/uploads/"))
        location = self._base + began.headers["location"]
        sent = _accepted(await client.patch(location, content=self._slowly(blob)))
        location = self._base + sent.headers["location"]
        _accepted(await client.put(location, params={"digest": digest}))

    async def _slowly(self, blob: bytes) -> AsyncIterator[bytes]:
        size = -(-len(blob) // _PIECES)
        for start in range(0, len(blob), size):
            yield blob[start : start + size]
            await asyncio.sleep(self._seconds_per_layer / _PIECES)

    async def _push_manifest(self, client: httpx.AsyncClient, manifest: bytes, tag: str) -> None:
        headers = {"Content-Type": _MANIFEST_TYPE}
        _accepted(await client.put(f"{self._repository}/manifests/{tag}", content=manifest, headers=headers))


def _accepted(response: httpx.Response) -> httpx.Response:
    return response.raise_for_status()
