"""The endpoint by which clients find out that this is a registry (distribution-spec, "Determining Support")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.distribution_api.responses import Response

if TYPE_CHECKING:
    from entrepot.auth.grants import RegistryGrant
    from entrepot.distribution_api.requests import Request
    from entrepot.services import Services

__all__ = ["answer_ping"]


async def answer_ping(_services: Services, _request: Request, _grant: RegistryGrant) -> Response:
    """GET or HEAD `/v2/`: an empty JSON object."""
    return Response(200, ((b"content-type", b"application/json"),), b"{}")
