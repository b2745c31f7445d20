"""The tag list (distribution-spec, "Listing Tags")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import msgspec

from entrepot.distribution_api.responses import Header, Response
from entrepot.oci.pagination import parse_page_size

if TYPE_CHECKING:
    from entrepot.auth.grants import Grant, Pull
    from entrepot.distribution_api.requests import Request
    from entrepot.services import Services

__all__ = ["list_tags"]

_MAX_PAGE_SIZE: Final = 1000


async def list_tags(services: Services, request: Request, grant: Grant[Pull], _reference: str) -> Response:
    """GET the tags of a repository in byte order, in pages that a Link header chains."""
    limit = parse_page_size(request.query("n"), _MAX_PAGE_SIZE)
    page = await services.manifests.list_tags(
        grant, request.query("last") or "", _MAX_PAGE_SIZE if limit is None else limit
    )
    headers: list[Header] = [(b"content-type", b"application/json")]
    if page.more and page.names:
        query = urlencode({"n": limit or _MAX_PAGE_SIZE, "last": page.names[-1]})
        headers.append((b"link", f'</v2/{grant.repository}/tags/list?{query}>; rel="next"'.encode("ascii")))
    body = msgspec.json.encode({"name": grant.repository.text, "tags": page.names})
    return Response(200, tuple(headers), body)
