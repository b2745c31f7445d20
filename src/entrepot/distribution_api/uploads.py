"""Upload endpoints (distribution-spec, "Pushing blobs"): POST, then any number of PATCH, then PUT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.distribution_api.errors import BodyLengthError, RequestError
from entrepot.distribution_api.responses import Header, Response
from entrepot.oci.digest import Digest
from entrepot.oci.ranges import parse_content_range

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.auth.grants import Grant, Push
    from entrepot.distribution_api.requests import Request
    from entrepot.oci.names import RepositoryName
    from entrepot.oci.ranges import ContentRange
    from entrepot.services import Services

__all__ = ["append_chunk", "begin_upload", "finish_upload", "upload_status"]


async def begin_upload(services: Services, request: Request, grant: Grant[Push], _reference: str) -> Response:
    """POST: begin a session, or take the whole blob when the digest is given along with it."""
    digest = request.query("digest")
    if digest is not None:
        parsed = Digest.parse(digest)
        with services.metrics.uploads_in_progress.track_inprogress():
            await services.uploads.push_whole(grant, parsed, request.body())
        return _created(grant.repository, parsed)
    session = await services.uploads.begin(grant)
    return Response(202, _session_headers(grant.repository, session, 0))


async def upload_status(
    services: Services, _request: Request, grant: Grant[Push], reference: str
) -> Response:
    """GET: how much of the upload is durable."""
    offset = await services.uploads.status(grant, reference)
    return Response(204, _session_headers(grant.repository, reference, offset))


async def append_chunk(services: Services, request: Request, grant: Grant[Push], reference: str) -> Response:
    """PATCH: append the body; with `Content-Range` only if it begins where the upload ends."""
    announced = _announced_range(request)
    expected = announced.start if announced is not None else None
    with services.metrics.uploads_in_progress.track_inprogress():
        offset = await services.uploads.append(grant, reference, expected, _body_of(request, announced))
    return Response(202, _session_headers(grant.repository, reference, offset))


async def finish_upload(services: Services, request: Request, grant: Grant[Push], reference: str) -> Response:
    """PUT: append what is left, verify the digest and make it a blob."""
    text = request.query("digest")
    if text is None:
        raise RequestError("the request needs the query field 'digest'")
    digest = Digest.parse(text)
    announced = _announced_range(request)
    expected = announced.start if announced is not None else None
    with services.metrics.uploads_in_progress.track_inprogress():
        await services.uploads.finish(grant, reference, digest, expected, _body_of(request, announced))
    return _created(grant.repository, digest)


def _announced_range(request: Request) -> ContentRange | None:
    header = request.text_header(b"content-range")
    if header is None:
        return None
    announced = parse_content_range(header)
    length = request.content_length()
    if length is not None and length != announced.length:
        raise BodyLengthError(announced.length, length)
    return announced


async def _body_of(request: Request, announced: ContentRange | None) -> AsyncIterator[bytes]:
    """Yield the body, and refuse one without a Content-Length that turns out not to fill its Content-Range."""
    received = 0
    async for chunk in request.body():
        received += len(chunk)
        if announced is not None and received > announced.length:
            raise BodyLengthError(announced.length, received)
        yield chunk
    if announced is not None and received != announced.length:
        raise BodyLengthError(announced.length, received)


def _created(repository: RepositoryName, digest: Digest) -> Response:
    headers: tuple[Header, ...] = (
        (b"location", f"/v2/{repository}/blobs/{digest}".encode("ascii")),
        (b"docker-content-digest", str(digest).encode("ascii")),
    )
    return Response(201, headers)


def _session_headers(repository: RepositoryName, session: str, offset: int) -> tuple[Header, ...]:
    # An empty session reads `0-0` too: docker and others parse the second number and know no empty range.
    return (
        (b"location", f"/v2/{repository}/blobs/uploads/{session}".encode("ascii")),
        (b"range", b"0-%d" % max(offset - 1, 0)),
        (b"docker-upload-uuid", session.encode("ascii")),
    )
