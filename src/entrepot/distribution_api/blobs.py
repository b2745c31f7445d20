"""Blob pull endpoints (distribution-spec, "Pulling blobs")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.distribution_api.responses import Header, Response
from entrepot.oci.digest import Digest
from entrepot.registry.blobs import InlineContent, LocalContent, RemoteContent

if TYPE_CHECKING:
    from entrepot.auth.grants import Grant, Pull
    from entrepot.distribution_api.requests import Request
    from entrepot.services import Services

__all__ = ["pull_blob"]


async def pull_blob(services: Services, request: Request, grant: Grant[Pull], reference: str) -> Response:
    """GET or HEAD a blob by digest."""
    blob = await services.blobs.find(grant, Digest.parse(reference))
    digest = str(blob.digest).encode("ascii")
    headers: tuple[Header, ...] = (
        (b"content-type", b"application/octet-stream"),
        (b"docker-content-digest", digest),
        (b"etag", b'"%s"' % digest),
    )
    if request.method == "HEAD":
        return Response(200, headers, length=blob.size_bytes)
    content = await services.blobs.open(blob)
    if isinstance(content, RemoteContent):
        location: Header = (b"location", content.url.encode("ascii"))
        return Response(307, (location, (b"docker-content-digest", digest)))
    if isinstance(content, InlineContent):
        return Response(200, headers, content.data)
    if isinstance(content, LocalContent):
        return Response(200, headers, content.path, blob.size_bytes)
    return Response(200, headers, content.chunks, blob.size_bytes)
