"""The OpenAPI document of the management API, for people and programs that make clients."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody, NoInputs
from entrepot.control_api.demands import Public
from entrepot.control_api.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.control_api.declarations import Call
    from entrepot.control_api.services import ControlServices

__all__ = ["schema_endpoint"]


def schema_endpoint(schema: Callable[[], bytes]) -> Endpoint[None, NoInputs, NoBody]:
    """Return the endpoint of a document that is made when it is first asked for, which takes a moment."""

    async def get_schema(_services: ControlServices, _call: Call[None, NoInputs, NoBody]) -> Reply:
        return Reply(200, await asyncio.to_thread(schema), "application/json")

    return Endpoint(
        method="GET",
        path=f"{API_PREFIX}/openapi.json",
        operation="api.schema",
        operation_id="getOpenApi",
        tag="system",
        summary="This document.",
        demand=Public,
        handler=get_schema,
        inputs=NoInputs,
        body=NoBody,
        result=dict[str, object],
    )
