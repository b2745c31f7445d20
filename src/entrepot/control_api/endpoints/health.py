"""Whether the parts of the registry work, for monitoring that speaks Harbor's API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody, NoInputs
from entrepot.control_api.demands import Public
from entrepot.control_api.health_board import OverallHealthStatus
from entrepot.control_api.reply import json_reply

if TYPE_CHECKING:
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices

__all__ = ["HEALTH_ENDPOINTS"]


async def get_health(services: ControlServices, _call: Call[None, NoInputs, NoBody]) -> Reply:
    """Answer with the state of each part, with 200 in any case, as Harbor does."""
    return json_reply(await services.health.examine())


HEALTH_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=f"{API_PREFIX}/health",
        operation="api.health.read",
        operation_id="getHealth",
        tag="health",
        summary="Whether the parts of the registry work. 200 in any case; `status` tells.",
        demand=Public,
        handler=get_health,
        inputs=NoInputs,
        body=NoBody,
        result=OverallHealthStatus,
    ),
)
