"""The tag list (distribution-spec, "Listing Tags")."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from entrepot.distribution_api.pages import read_page_request
from entrepot.distribution_api.responses import Header, Response

if TYPE_CHECKING:
    from entrepot.auth.grants import Grant, Pull
    from entrepot.distribution_api.requests import Request
    from entrepot.services import Services

__all__ = ["list_tags"]


async def list_tags(services: Services, request: Request, grant: Grant[Pull], _reference: str) -> Response:
    """GET the tags of a repository in byte order, in pages that a Link header chains."""
    asked = read_page_request(request)
    page = await services.manifests.list_tags(grant, asked.after, asked.size)
    headers: list[Header] = [(b"content-type", b"application/json")]
    if page.more and page.names:
        headers.append(asked.next_page_link(f"/v2/{grant.repository}/tags/list", page.names[-1]))
    body = msgspec.json.encode({"name": grant.repository.text, "tags": page.names})
    return Response(200, tuple(headers), body, project_id=page.project_id)
