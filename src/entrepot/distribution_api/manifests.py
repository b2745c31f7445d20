"""Manifest endpoints (distribution-spec, "Pulling manifests" and "Pushing Manifests")."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from entrepot.auth.grants import Push
from entrepot.distribution_api.caching import IMMUTABLE, REVALIDATED
from entrepot.distribution_api.conditions import entity_tag, is_known_to_client
from entrepot.distribution_api.errors import RequestError
from entrepot.distribution_api.preconditions import tag_condition
from entrepot.distribution_api.responses import Header, Response
from entrepot.oci.digest import Digest
from entrepot.oci.manifest import MAX_MANIFEST_BYTES, ParsedManifest, parse_manifest
from entrepot.oci.names import TagName
from entrepot.registry.pushes.manifests import ManifestPush

if TYPE_CHECKING:
    from entrepot.auth.grants import Grant, Pull
    from entrepot.distribution_api.requests import Request
    from entrepot.services import Services

__all__ = ["parse_reference", "pull_manifest", "push_manifest"]

_PARSED_INLINE_BYTES: Final = 32 * 1024
_LONG_SECONDS: Final = 1.0
"""Until a manifest's body is there. It may come slowly, for an hour, and rights that are taken end within seconds."""
_MAX_TAGS: Final = 100
"""The distribution-spec asks for ten; all are locked by one unit."""


async def pull_manifest(services: Services, request: Request, grant: Grant[Pull], reference: str) -> Response:
    """GET or HEAD a manifest by tag or digest: exact bytes, media type and digest, whatever Accept says (S32)."""
    parsed = parse_reference(reference)
    if request.method == "HEAD":
        manifest = await services.manifests.describe(grant, parsed)
    else:
        manifest = await services.manifests.pull(grant, parsed)
    digest = str(manifest.digest).encode("ascii")
    tag = entity_tag(digest)
    headers: tuple[Header, ...] = (
        (b"content-type", manifest.media_type.encode("latin-1")),
        (b"docker-content-digest", digest),
        (b"etag", tag),
    )
    caching = IMMUTABLE if isinstance(parsed, Digest) else REVALIDATED
    if is_known_to_client(request, tag):
        return Response(304, headers[1:], caching=caching, project_id=manifest.project_id)
    return Response(200, headers, manifest.body, manifest.size_bytes, caching, manifest.project_id)


async def push_manifest(services: Services, request: Request, grant: Grant[Push], reference: str) -> Response:
    """PUT a manifest under a tag or under its digest, and under each `?tag=` besides: all of them or none (S43)."""
    parsed_reference = parse_reference(reference)
    asked_for = _parse_tags(request.query_values("tag"))
    body = await request.read_body(MAX_MANIFEST_BYTES)
    if time.monotonic() - request.identified_at > _LONG_SECONDS:
        grant = await _granted_now(services, request, grant)
    parsed = await _parse(body, request.text_header(b"content-type"))
    claimed = parsed_reference if isinstance(parsed_reference, Digest) else None
    named = () if isinstance(parsed_reference, Digest) else (parsed_reference,)
    tags = tuple(dict.fromkeys(named + asked_for))
    push = ManifestPush(body, parsed, claimed, tags, tag_condition(request))
    pushed = await services.manifest_pushes.push(grant, push)
    headers: list[Header] = [
        (b"location", f"/v2/{grant.repository}/manifests/{pushed.digest}".encode("ascii")),
        (b"docker-content-digest", str(pushed.digest).encode("ascii")),
    ]
    if asked_for:
        headers.append((b"oci-tag", ", ".join(tag.text for tag in tags).encode("ascii")))
    if pushed.subject is not None:
        headers.append((b"oci-subject", str(pushed.subject).encode("ascii")))
    return Response(201, tuple(headers))


async def _granted_now(services: Services, request: Request, grant: Grant[Push]) -> Grant[Push]:
    """Ask once more for a grant whose use had to wait for the client.

    Raises:
        InvalidTokenError, InvalidCredentialsError: what was presented has ended meanwhile.
        AccessDeniedError, InsufficientScopeError, ActionDisabledError: it is not granted any more.
    """
    principal = grant.principal if request.identify_anew is None else await request.identify_anew()
    return await services.authorizer.authorize(principal, Push, grant.repository)


async def _parse(body: bytes, content_type: str | None) -> ParsedManifest:
    """Parse a manifest, one that takes longer than about a millisecond on a thread."""
    if len(body) <= _PARSED_INLINE_BYTES:
        return parse_manifest(body, content_type)
    return await asyncio.to_thread(parse_manifest, body, content_type)


def _parse_tags(texts: list[str]) -> tuple[TagName, ...]:
    if len(texts) > _MAX_TAGS:
        raise RequestError(f"a manifest can be pushed under {_MAX_TAGS} tags at once, not under {len(texts)}")
    return tuple(TagName.parse(text) for text in texts)


def parse_reference(text: str) -> TagName | Digest:
    """Read a reference: whatever contains a colon is a digest, since no tag can contain one."""
    return Digest.parse(text) if ":" in text else TagName.parse(text)
