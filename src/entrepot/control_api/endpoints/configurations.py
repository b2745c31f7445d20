"""Settings that can be changed at run time, as Harbor's API shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.system_actions import ReadConfiguration, UpdateConfiguration
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody, NoInputs
from entrepot.control_api.demands import OnSystem
from entrepot.control_api.reply import DONE, json_reply

if TYPE_CHECKING:
    from entrepot.auth.grants import SystemGrant
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices

__all__ = ["CONFIGURATION_ENDPOINTS"]

_PATH: Final = f"{API_PREFIX}/configurations"


async def read_configurations(
    services: ControlServices, call: Call[SystemGrant[ReadConfiguration], NoInputs, NoBody]
) -> Reply:
    """Show all settings, each with whether it can be changed."""
    return json_reply(await services.configurations.read(call.grant))


async def update_configurations(
    services: ControlServices,
    call: Call[SystemGrant[UpdateConfiguration], NoInputs, dict[str, bool | int | str | None]],
) -> Reply:
    """Change some settings; the others, and those that are null, stay."""
    await services.configurations.update(call.grant, call.body)
    return DONE


CONFIGURATION_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=_PATH,
        operation="api.configuration.read",
        operation_id="getConfigurations",
        tag="configure",
        summary="All settings of run time, each with whether it can be changed.",
        demand=OnSystem(ReadConfiguration),
        handler=read_configurations,
        inputs=NoInputs,
        body=NoBody,
        result=dict[str, object],
    ),
    Endpoint(
        method="PUT",
        path=_PATH,
        operation="api.configuration.update",
        operation_id="updateConfigurations",
        tag="configure",
        summary="Change some settings; the others stay.",
        demand=OnSystem(UpdateConfiguration),
        handler=update_configurations,
        inputs=NoInputs,
        body=dict[str, bool | int | str | None],
    ),
)
