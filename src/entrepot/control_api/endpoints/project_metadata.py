"""A project's metadata one by one, as Harbor's API offers them beside the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.project_actions import (
    CreateMetadata,
    DeleteMetadata,
    ListMetadata,
    ReadMetadata,
    UpdateMetadata,
)
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody
from entrepot.control_api.demands import InProject
from entrepot.control_api.endpoints.projects import ProjectInputs
from entrepot.control_api.errors import InvalidInputError
from entrepot.control_api.reply import DONE, json_reply

if TYPE_CHECKING:
    from entrepot.auth.grants import ProjectGrant
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices

__all__ = ["METADATA_ENDPOINTS"]

_ALL: Final = f"{API_PREFIX}/projects/{{project_name_or_id}}/metadatas"
_ONE: Final = f"{_ALL}/{{meta_name}}"


class MetadataInputs(msgspec.Struct, frozen=True):
    """Which piece of metadata is meant."""

    project_name_or_id: str
    meta_name: str


async def list_metadata(
    services: ControlServices, call: Call[ProjectGrant[ListMetadata], ProjectInputs, NoBody]
) -> Reply:
    """Show all metadata of a project."""
    return json_reply(await services.project_metadata.list_all(call.grant))


async def add_metadata(
    services: ControlServices, call: Call[ProjectGrant[CreateMetadata], ProjectInputs, dict[str, str | None]]
) -> Reply:
    """Set some metadata."""
    await services.project_metadata.add(call.grant, call.body)
    return DONE


async def read_metadata(
    services: ControlServices, call: Call[ProjectGrant[ReadMetadata], MetadataInputs, NoBody]
) -> Reply:
    """Show one piece of metadata."""
    name = call.inputs.meta_name
    return json_reply({name: await services.project_metadata.get(call.grant, name)})


async def update_metadata(
    services: ControlServices, call: Call[ProjectGrant[UpdateMetadata], MetadataInputs, dict[str, str | None]]
) -> Reply:
    """Set one piece of metadata.

    Raises:
        InvalidInputError: the body names another one.
    """
    name = call.inputs.meta_name
    if set(call.body) != {name}:
        raise InvalidInputError((f"the body has to have the one field {name}",))
    await services.project_metadata.update(call.grant, name, call.body[name])
    return DONE


async def delete_metadata(
    services: ControlServices, call: Call[ProjectGrant[DeleteMetadata], MetadataInputs, NoBody]
) -> Reply:
    """Remove one piece of metadata."""
    await services.project_metadata.remove(call.grant, call.inputs.meta_name)
    return DONE


METADATA_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=_ALL,
        operation="api.metadata.list",
        operation_id="listProjectMetadatas",
        tag="projectMetadata",
        summary="All metadata of a project.",
        demand=InProject(ListMetadata),
        handler=list_metadata,
        inputs=ProjectInputs,
        body=NoBody,
        result=dict[str, str],
    ),
    Endpoint(
        method="POST",
        path=_ALL,
        operation="api.metadata.create",
        operation_id="addProjectMetadatas",
        tag="projectMetadata",
        summary="Set some metadata.",
        demand=InProject(CreateMetadata),
        handler=add_metadata,
        inputs=ProjectInputs,
        body=dict[str, str | None],
    ),
    Endpoint(
        method="GET",
        path=_ONE,
        operation="api.metadata.read",
        operation_id="getProjectMetadata",
        tag="projectMetadata",
        summary="One piece of metadata.",
        demand=InProject(ReadMetadata),
        handler=read_metadata,
        inputs=MetadataInputs,
        body=NoBody,
        result=dict[str, str],
    ),
    Endpoint(
        method="PUT",
        path=_ONE,
        operation="api.metadata.update",
        operation_id="updateProjectMetadata",
        tag="projectMetadata",
        summary="Set one piece of metadata.",
        demand=InProject(UpdateMetadata),
        handler=update_metadata,
        inputs=MetadataInputs,
        body=dict[str, str | None],
    ),
    Endpoint(
        method="DELETE",
        path=_ONE,
        operation="api.metadata.delete",
        operation_id="deleteProjectMetadata",
        tag="projectMetadata",
        summary="Remove one piece of metadata.",
        demand=InProject(DeleteMetadata),
        handler=delete_metadata,
        inputs=MetadataInputs,
        body=NoBody,
    ),
)
