"""Manifest endpoints (distribution-spec, "Pulling manifests" and "Pushing Manifests")."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from entrepot.distribution_api.responses import Header, Response
from entrepot.oci.digest import Digest
from entrepot.oci.manifest import MAX_MANIFEST_BYTES, ParsedManifest, parse_manifest
from entrepot.oci.names import TagName
from entrepot.registry.manifest_pushes import ManifestPush

if TYPE_CHECKING:
    from entrepot.auth.grants import Grant, Pull, Push
    from entrepot.distribution_api.requests import Request
    from entrepot.services import Services

__all__ = ["pull_manifest", "push_manifest"]

_PARSED_INLINE_BYTES: Final = 32 * 1024


async def pull_manifest(services: Services, request: Request, grant: Grant[Pull], reference: str) -> Response:
    """GET or HEAD a manifest by tag or digest: exact bytes, media type and digest, whatever Accept says (S32)."""
    parsed = _parse_reference(reference)
    if request.method == "HEAD":
        manifest = await services.manifests.describe(grant, parsed)
    else:
        manifest = await services.manifests.pull(grant, parsed)
    digest = str(manifest.digest).encode("ascii")
    headers: tuple[Header, ...] = (
        (b"content-type", manifest.media_type.encode("latin-1")),
        (b"docker-content-digest", digest),
        (b"etag", b'"%s"' % digest),
    )
    return Response(200, headers, manifest.body, manifest.size_bytes)


async def push_manifest(services: Services, request: Request, grant: Grant[Push], reference: str) -> Response:
    """PUT a manifest under a tag or under its digest."""
    parsed_reference = _parse_reference(reference)
    body = await request.read_body(MAX_MANIFEST_BYTES)
    parsed = await _parse(body, request.text_header(b"content-type"))
    claimed = parsed_reference if isinstance(parsed_reference, Digest) else None
    tag = parsed_reference if isinstance(parsed_reference, TagName) else None
    pushed = await services.manifest_pushes.push(grant, ManifestPush(body, parsed, claimed, tag))
    headers: list[Header] = [
        (b"location", f"/v2/{grant.repository}/manifests/{pushed.digest}".encode("ascii")),
        (b"docker-content-digest", str(pushed.digest).encode("ascii")),
    ]
    if pushed.subject is not None:
        headers.append((b"oci-subject", str(pushed.subject).encode("ascii")))
    return Response(201, tuple(headers))


async def _parse(body: bytes, content_type: str | None) -> ParsedManifest:
    """Parse a manifest, one that takes longer than about a millisecond on a thread."""
    if len(body) <= _PARSED_INLINE_BYTES:
        return parse_manifest(body, content_type)
    return await asyncio.to_thread(parse_manifest, body, content_type)


def _parse_reference(text: str) -> TagName | Digest:
    """Read a reference: whatever contains a colon is a digest, since no tag can contain one."""
    return Digest.parse(text) if ":" in text else TagName.parse(text)
