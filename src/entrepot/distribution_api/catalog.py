"""The catalog of all repositories, as Docker's registry API has it: the OCI specification knows none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from entrepot.distribution_api.pages import read_page_request
from entrepot.distribution_api.responses import Header, Response

if TYPE_CHECKING:
    from entrepot.auth.grants import CatalogGrant
    from entrepot.distribution_api.requests import Request
    from entrepot.services import Services

__all__ = ["list_repositories"]


async def list_repositories(services: Services, request: Request, grant: CatalogGrant) -> Response:
    """GET the names of all repositories in byte order, in pages that a Link header chains."""
    asked = read_page_request(request)
    page = await services.catalog.list_repositories(grant, asked.after, asked.size)
    headers: list[Header] = [(b"content-type", b"application/json")]
    if page.more and page.names:
        headers.append(asked.next_page_link("/v2/_catalog", page.names[-1]))
    return Response(200, tuple(headers), msgspec.json.encode({"repositories": page.names}))
