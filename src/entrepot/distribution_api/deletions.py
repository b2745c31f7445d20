"""Delete endpoints (distribution-spec, "Content Management"): 202 without a body, and the second time 404."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.distribution_api.manifests import parse_reference
from entrepot.distribution_api.responses import Response
from entrepot.oci.digest import Digest

if TYPE_CHECKING:
    from entrepot.auth.grants import Delete, Grant
    from entrepot.distribution_api.requests import Request
    from entrepot.services import Services

__all__ = ["delete_blob", "delete_manifest"]

_ACCEPTED: Final = 202


async def delete_manifest(
    services: Services, _request: Request, grant: Grant[Delete], reference: str
) -> Response:
    """DELETE a tag, or a manifest by digest together with all its tags."""
    parsed = parse_reference(reference)
    if isinstance(parsed, Digest):
        await services.deletions.delete_manifest(grant, parsed)
    else:
        await services.deletions.delete_tag(grant, parsed)
    return Response(_ACCEPTED)


async def delete_blob(services: Services, _request: Request, grant: Grant[Delete], digest: str) -> Response:
    """DELETE the repository's link to a blob."""
    await services.deletions.delete_blob(grant, Digest.parse(digest))
    return Response(_ACCEPTED)
