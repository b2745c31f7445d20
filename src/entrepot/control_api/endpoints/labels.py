"""Labels of projects and of the registry, which Harbor's API has under one path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

import msgspec

from entrepot.auth.project_actions import (
    CreateLabel,
    DeleteLabel,
    ListLabel,
    ProjectAction,
    ReadLabel,
    UpdateLabel,
)
from entrepot.auth.system_actions import (
    CreateSystemLabel,
    DeleteSystemLabel,
    ListSystemLabel,
    ReadSystemLabel,
    SystemAction,
    UpdateSystemLabel,
)
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody, NoInputs
from entrepot.control_api.demands import OneOf, PersonOrOneOf
from entrepot.control_api.errors import InvalidInputError
from entrepot.control_api.filters import FilterField
from entrepot.control_api.homes import grant_at_home
from entrepot.control_api.names import format_time, location
from entrepot.control_api.paging import PageInputs
from entrepot.control_api.plain_filters import parse_plain_filters
from entrepot.control_api.reply import DONE, created, json_reply, page_reply
from entrepot.control_api.sorting import parse_order
from entrepot.metadata.label_store import LABEL_ORDERS, LabelQuery, LabelText
from entrepot.projects.errors import LabelUnknownError

if TYPE_CHECKING:
    from entrepot.auth.grants import ProjectGrant, SystemGrant
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.demands import Gate, PersonGate
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices
    from entrepot.metadata.label_store import LabelRow

__all__ = ["LABEL_ENDPOINTS", "Label"]

P = TypeVar("P", bound=ProjectAction)
S = TypeVar("S", bound=SystemAction)

_LABELS: Final = f"{API_PREFIX}/labels"
_ONE: Final = f"{_LABELS}/{{label_id}}"
_FILTERS: Final = {"name": FilterField("name")}
_SORTS: Final = {"name": "name", "creationtime": "creation_time"}


class Label(msgspec.Struct, frozen=True):
    """A label; `scope` is `p` for one of a project and `g` for one of the registry."""

    id: int
    name: str
    description: str
    color: str
    scope: str
    project_id: int
    creation_time: str
    update_time: str


class LabelReq(msgspec.Struct, frozen=True):
    """A label to be made or changed; its place never changes."""

    name: str
    description: str | None = None
    color: str | None = None
    scope: Literal["g", "p"] | None = None
    project_id: int | None = None

    @property
    def is_of_the_registry(self) -> bool:
        """Whether it belongs to no project: as `scope` says, and else if no project is named."""
        return self.scope == "g" or (self.scope is None and not self.project_id)

    def text(self) -> LabelText:
        """Return what can be written."""
        return LabelText(self.name, self.description or "", self.color or "")


class LabelInputs(msgspec.Struct, frozen=True):
    """Which label is meant."""

    label_id: int


class LabelListInputs(PageInputs, frozen=True):
    """Which labels are meant."""

    q: str = ""
    sort: str = ""
    scope: Literal["g", "p"] = "g"
    project_id: int = 0
    name: Annotated[str, msgspec.Meta(max_length=128, description="What the name contains.")] = ""


def _shown(label: LabelRow) -> Label:
    return Label(
        id=label.id,
        name=label.text.name,
        description=label.text.description,
        color=label.text.color,
        scope="g" if label.project_id is None else "p",
        project_id=label.project_id or 0,
        creation_time=format_time(label.created_at),
        update_time=format_time(label.updated_at),
    )


def _require_project(project_id: int | None) -> int:
    if not project_id:
        raise InvalidInputError(("project_id: has to name the project for the scope p",))
    return project_id


async def _grant(
    services: ControlServices, gate: Gate, number: int, on_system: type[S], in_project: type[P]
) -> SystemGrant[S] | ProjectGrant[P]:
    """Return the grant for a label of the registry, or in the project that it is of.

    Raises:
        LabelUnknownError: there is none; who may not know is refused as for any other (S19).
        AccessDeniedError: the one who asks may not.
    """
    return await grant_at_home(
        gate, services.labels.project_of, number, (on_system, in_project), LabelUnknownError
    )


async def list_labels(services: ControlServices, call: Call[PersonGate, LabelListInputs, NoBody]) -> Reply:
    """List the labels of a project or of the registry."""
    inputs, gate = call.inputs, call.grant
    grant = (
        await gate.person_or(ListSystemLabel)
        if inputs.scope == "g"
        else await gate.project(ListLabel, _require_project(inputs.project_id))
    )
    filters = parse_plain_filters(inputs.q, _FILTERS)
    query = LabelQuery(
        name=filters.text("name"),
        name_part=filters.part_beside("name", inputs.name),
        order=parse_order(inputs.sort, _SORTS, LABEL_ORDERS, "name"),
        limit=inputs.page_size,
        offset=inputs.offset,
    )
    page = await services.labels.list_page(grant, query)
    return page_reply([_shown(label) for label in page.labels], page.total, inputs, call.head)


async def create_label(services: ControlServices, call: Call[Gate, NoInputs, LabelReq]) -> Reply:
    """Make a label."""
    body, gate = call.body, call.grant
    grant = (
        await gate.system(CreateSystemLabel)
        if body.is_of_the_registry
        else await gate.project(CreateLabel, _require_project(body.project_id))
    )
    return created(location(_LABELS, await services.labels.create(grant, body.text())))


async def read_label(services: ControlServices, call: Call[Gate, LabelInputs, NoBody]) -> Reply:
    """Show a label."""
    number, gate = call.inputs.label_id, call.grant
    grant = await _grant(services, gate, number, ReadSystemLabel, ReadLabel)
    return json_reply(_shown(await services.labels.get(grant, number)))


async def update_label(services: ControlServices, call: Call[Gate, LabelInputs, LabelReq]) -> Reply:
    """Change a label."""
    number, gate = call.inputs.label_id, call.grant
    grant = await _grant(services, gate, number, UpdateSystemLabel, UpdateLabel)
    await services.labels.update(grant, number, call.body.text())
    return DONE


async def delete_label(services: ControlServices, call: Call[Gate, LabelInputs, NoBody]) -> Reply:
    """Remove a label."""
    number, gate = call.inputs.label_id, call.grant
    grant = await _grant(services, gate, number, DeleteSystemLabel, DeleteLabel)
    await services.labels.delete(grant, number)
    return DONE


LABEL_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=_LABELS,
        operation="api.label.list",
        operation_id="ListLabels",
        tag="label",
        summary="The labels of the registry (`scope=g`) or of a project (`scope=p` and `project_id`).",
        demand=PersonOrOneOf((ListSystemLabel, ListLabel)),
        handler=list_labels,
        inputs=LabelListInputs,
        body=NoBody,
        result=list[Label],
    ),
    Endpoint(
        method="POST",
        path=_LABELS,
        operation="api.label.create",
        operation_id="CreateLabel",
        tag="label",
        summary="Make a label.",
        demand=OneOf((CreateSystemLabel, CreateLabel)),
        handler=create_label,
        inputs=NoInputs,
        body=LabelReq,
        status=201,
    ),
    Endpoint(
        method="GET",
        path=_ONE,
        operation="api.label.read",
        operation_id="GetLabelByID",
        tag="label",
        summary="A label.",
        demand=OneOf((ReadSystemLabel, ReadLabel)),
        handler=read_label,
        inputs=LabelInputs,
        body=NoBody,
        result=Label,
    ),
    Endpoint(
        method="PUT",
        path=_ONE,
        operation="api.label.update",
        operation_id="UpdateLabel",
        tag="label",
        summary="Change a label.",
        demand=OneOf((UpdateSystemLabel, UpdateLabel)),
        handler=update_label,
        inputs=LabelInputs,
        body=LabelReq,
    ),
    Endpoint(
        method="DELETE",
        path=_ONE,
        operation="api.label.delete",
        operation_id="DeleteLabel",
        tag="label",
        summary="Remove a label.",
        demand=OneOf((DeleteSystemLabel, DeleteLabel)),
        handler=delete_label,
        inputs=LabelInputs,
        body=NoBody,
    ),
)
