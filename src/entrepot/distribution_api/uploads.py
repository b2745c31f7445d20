"""Upload endpoints (distribution-spec, "Pushing blobs"): POST, then any number of PATCH, then PUT or DELETE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.errors import (
    AccessDeniedError,
    AuthenticationRequiredError,
    InsufficientScopeError,
    ProjectMissingError,
)
from entrepot.auth.grants import Pull
from entrepot.distribution_api.errors import BodyLengthError, RequestError
from entrepot.distribution_api.origins import answered_as
from entrepot.distribution_api.responses import Header, Response
from entrepot.oci.digest import ALGORITHMS, Digest
from entrepot.oci.names import InvalidRepositoryNameError, RepositoryName
from entrepot.oci.ranges import parse_content_range
from entrepot.registry.audit import mount_refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.auth.grants import Grant, Push
    from entrepot.distribution_api.requests import Request
    from entrepot.oci.digest import Algorithm
    from entrepot.oci.ranges import ContentRange
    from entrepot.services import Services

__all__ = [
    "append_chunk",
    "begin_upload",
    "brings_blob",
    "cancel_upload",
    "finish_upload",
    "upload_status",
]


def brings_blob(request: Request) -> bool:
    """Whether a POST has a body that will be read: one that only begins a session need not wait behind bodies."""
    return request.has_unread_body() and request.query("digest") is not None


async def begin_upload(services: Services, request: Request, grant: Grant[Push], _reference: str) -> Response:
    """POST: begin a session, unless the blob can be mounted or comes along with its digest."""
    mount, digest = _queried_digest(request, "mount"), _queried_digest(request, "digest")
    algorithm = _announced_algorithm(request, digest or mount)
    if mount is not None and await _mounted(services, request, grant, mount):
        return _created(grant.repository, mount)
    if digest is not None and (
        request.content_length() != 0 or digest == Digest.of_bytes(b"", digest.algorithm)
    ):
        with services.metrics.uploads_in_progress.track_inprogress():
            await services.uploads.push_whole(grant, digest, request.body())
        return _created(grant.repository, digest)
    session = await services.uploads.begin(answered_as(grant, 202), algorithm)
    advice: Header = (b"oci-chunk-min-length", b"%d" % services.uploads.advised_chunk_bytes)
    return Response(202, (*_session_headers(grant.repository, session, 0), advice))


_NOT_THERE: Final = (
    AccessDeniedError,
    AuthenticationRequiredError,
    InsufficientScopeError,
    InvalidRepositoryNameError,
    ProjectMissingError,
)
"""Why a blob can't be had from a repository, all the same to the caller."""
_REFUSED: Final = (AccessDeniedError, InsufficientScopeError)
"""Those of them that are refusals, and as such on record where the caller named the repository."""


async def _mounted(services: Services, request: Request, grant: Grant[Push], digest: Digest) -> bool:
    """Whether the blob is linked to the granted repository now.

    Whatever stands in the way, no right to pull or no such blob or repository or a name that can't be one, the caller
    sees the same session (S6). Only a digest that is none is refused: the upload would be, too.

    Raises:
        AuditUnavailableError: a refusal can't be noted.
    """
    source = request.query("from")
    names = await services.mounts.sources(digest) if source is None else (source,)
    for name in dict.fromkeys((*names, grant.repository.text)):
        try:
            pull = await services.authorizer.authorize(grant.principal, Pull, RepositoryName.parse(name))
        except _NOT_THERE as error:
            if name == source and isinstance(error, _REFUSED):
                await _note_refused_source(services, grant, RepositoryName.parse(name), digest, str(error))
            continue
        if await services.mounts.mount(grant, pull, digest):
            return True
    return False


async def _note_refused_source(
    services: Services, grant: Grant[Push], source: RepositoryName, digest: Digest, reason: str
) -> None:
    """Note a refusal as one of a pull from there; for nobody the database is not asked, however often it comes."""
    is_nobody = grant.principal.kind == "anonymous"
    number = None if is_nobody else await services.project_numbers.find(source.project)
    await services.notes.note(mount_refusal(grant, source, digest, reason, number))


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
    digest = _queried_digest(request, "digest")
    if digest is None:
        raise RequestError("the request needs the query field 'digest'")
    announced = _announced_range(request)
    expected = announced.start if announced is not None else None
    with services.metrics.uploads_in_progress.track_inprogress():
        await services.uploads.finish(grant, reference, digest, expected, _body_of(request, announced))
    return _created(grant.repository, digest)


async def cancel_upload(
    services: Services, _request: Request, grant: Grant[Push], reference: str
) -> Response:
    """DELETE: end the session and remove its bytes."""
    await services.uploads.cancel(grant, reference)
    return Response(204)


def _queried_digest(request: Request, field: str) -> Digest | None:
    text = request.query(field)
    return None if text is None else Digest.parse(text)


def _announced_algorithm(request: Request, digest: Digest | None) -> Algorithm:
    """Return what to hash the upload with: what the client names, or uses already, or sha256."""
    text = request.query("digest-algorithm")
    if text is None:
        return "sha256" if digest is None else digest.algorithm
    for algorithm in ALGORITHMS:
        if text == algorithm:
            return algorithm
    raise RequestError(f"'digest-algorithm' is one of {', '.join(ALGORITHMS)}")


def _announced_range(request: Request) -> ContentRange | None:
    header = request.text_header(b"content-range")
    if header is None:
        return None
    announced = parse_content_range(header)
    length = request.content_length()
    if length is not None and length != announced.length:
        raise BodyLengthError(announced.length, length)
    return announced


def _body_of(request: Request, announced: ContentRange | None) -> AsyncIterator[bytes]:
    """Return the body; without a Content-Length, one that turns out not to fill its Content-Range is refused."""
    if announced is None or request.content_length() is not None:
        return request.body()
    return _filling(request.body(), announced)


async def _filling(body: AsyncIterator[bytes], announced: ContentRange) -> AsyncIterator[bytes]:
    received = 0
    async for chunk in body:
        received += len(chunk)
        if received > announced.length:
            raise BodyLengthError(announced.length, received)
        yield chunk
    if received != announced.length:
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
