"""Lists of referrers (distribution-spec, "Listing Referrers")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from entrepot.distribution_api.errors import RequestError
from entrepot.distribution_api.pages import read_page_request
from entrepot.distribution_api.responses import Header, Response
from entrepot.oci.digest import Digest
from entrepot.oci.media_types import OCI_IMAGE_INDEX

if TYPE_CHECKING:
    from entrepot.auth.grants import Grant, Pull
    from entrepot.distribution_api.requests import Request
    from entrepot.metadata.records import Referrer
    from entrepot.services import Services

__all__ = ["list_referrers"]

_NO_ANNOTATIONS: Final = b"{}"


async def list_referrers(
    services: Services, request: Request, grant: Grant[Pull], reference: str
) -> Response:
    """GET what is attached to a manifest as an image index, in pages that a Link header chains.

    Never 404: clients take that for a registry that has no such lists, and go by a tag then.
    """
    subject = Digest.parse(reference)
    artifact_type = _artifact_type(request)
    asked = read_page_request(request)
    page = await services.referrers.list_page(grant, subject, artifact_type, asked.after, asked.size)
    headers: list[Header] = [(b"content-type", OCI_IMAGE_INDEX.encode("ascii"))]
    query: dict[str, str] = {}
    if artifact_type is not None:
        headers.append((b"oci-filters-applied", b"artifactType"))
        query["artifactType"] = artifact_type
    if page.more:
        path = f"/v2/{grant.repository}/referrers/{subject}"
        headers.append(asked.next_page_link(path, str(page.referrers[-1].digest), query))
    return Response(200, tuple(headers), _encode_index(page.referrers), project_id=page.project_id)


def _artifact_type(request: Request) -> str | None:
    """Return the type to filter by; an empty one is none."""
    artifact_type = request.query("artifactType") or None
    if artifact_type is not None and "\0" in artifact_type:
        raise RequestError("the query field 'artifactType' is no media type")
    return artifact_type


def _encode_index(referrers: tuple[Referrer, ...]) -> bytes:
    return msgspec.json.encode(
        {
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE_INDEX,
            "manifests": [_descriptor(referrer) for referrer in referrers],
        }
    )


def _descriptor(referrer: Referrer) -> dict[str, Any]:
    descriptor: dict[str, Any] = {
        "mediaType": referrer.media_type,
        "digest": str(referrer.digest),
        "size": referrer.size_bytes,
    }
    if referrer.artifact_type is not None:
        descriptor["artifactType"] = referrer.artifact_type
    if referrer.annotations_json != _NO_ANNOTATIONS:
        descriptor["annotations"] = msgspec.Raw(referrer.annotations_json)
    return descriptor
