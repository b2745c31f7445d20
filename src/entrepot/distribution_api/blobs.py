"""Blob pull endpoints (distribution-spec, "Pulling blobs")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.distribution_api.caching import IMMUTABLE
from entrepot.distribution_api.conditions import entity_tag, is_known_to_client, wanted_part
from entrepot.distribution_api.responses import Header, Response
from entrepot.oci.digest import Digest
from entrepot.registry.pulls.blobs import InlineContent, LocalContent, RemoteContent

if TYPE_CHECKING:
    from entrepot.auth.grants import Grant, Pull
    from entrepot.distribution_api.requests import Request
    from entrepot.distribution_api.responses import Content
    from entrepot.registry.pulls.blobs import StreamedContent
    from entrepot.services import Services

__all__ = ["pull_blob"]

_OCTETS: Final[Header] = (b"content-type", b"application/octet-stream")
_RANGES: Final[Header] = (b"accept-ranges", b"bytes")
_ATTACHMENT: Final[Header] = (b"content-disposition", b"attachment")
"""A browser saves what somebody pushed, and never shows it under the registry's name."""


async def pull_blob(services: Services, request: Request, grant: Grant[Pull], reference: str) -> Response:
    """GET or HEAD a blob by digest; GET also a part of it."""
    find = services.blobs.describe if request.method == "HEAD" else services.blobs.find
    blob = await find(grant, Digest.parse(reference))
    digest = str(blob.digest).encode("ascii")
    tag, project_id = entity_tag(digest), blob.project_id
    named: tuple[Header, ...] = ((b"docker-content-digest", digest), (b"etag", tag))
    if is_known_to_client(request, tag):
        return Response(304, named, caching=IMMUTABLE, project_id=project_id)
    headers: tuple[Header, ...] = (_OCTETS, _RANGES, _ATTACHMENT, *named)
    if request.method == "HEAD":  # ranges are defined for GET only (RFC 9110, section 14.2)
        return Response(200, headers, length=blob.size_bytes, caching=IMMUTABLE)
    part = wanted_part(request, tag, blob.size_bytes)
    content = await services.blobs.open(blob, part)
    if isinstance(content, RemoteContent):  # the client asks there for the same range
        return Response(307, ((b"location", content.url.encode("ascii")), named[0]), project_id=project_id)
    if part is None:
        return Response(200, headers, _body(content), blob.size_bytes, IMMUTABLE, project_id)
    place = b"bytes %d-%d/%d" % (part.start, part.end, blob.size_bytes)
    ranged = (*headers, (b"content-range", place))
    return Response(206, ranged, _body(content), part.length, IMMUTABLE, project_id)


def _body(content: InlineContent | LocalContent | StreamedContent) -> Content:
    if isinstance(content, InlineContent):
        return content.data
    return content.path if isinstance(content, LocalContent) else content.chunks
