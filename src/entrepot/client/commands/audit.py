"""``entrepot audit list``: who did what, as the registry tells those who may know it."""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Literal, cast

from cyclopts import Parameter

from entrepot.client.acts import actor_of, image_of_act, reason_of_act
from entrepot.client.choosing import open_api
from entrepot.client.listing import equals, list_items
from entrepot.client.lookup import project_path
from entrepot.client.options import ANYWHERE, LimitOption, OutputOption, TargetOption
from entrepot.client.refusals import RefusedError
from entrepot.client.showing import Columns, show_items
from entrepot.client.times import FromOption, ToOption, read_span, time_in_utc

if TYPE_CHECKING:
    from collections.abc import Generator

    from entrepot.client.listing import Item

__all__ = ["list_acts"]

_ProjectOption = Annotated[
    str, Parameter(name="--project", help="Only acts in a project, which who may read its log sees.")
]
_UserOption = Annotated[str, Parameter(name="--user", help="Only acts of this user or robot.")]
_ActionOption = Annotated[str, Parameter(name="--action", help="Only this act, as manifest.push.")]
_ResourceOption = Annotated[
    str, Parameter(name=["--resource", "--object"], help="Only acts on what is called so.")
]
_RequestOption = Annotated[
    str, Parameter(name="--request-id", help="Only what a request did: the id that a refusal told.")
]
_AddressOption = Annotated[str, Parameter(name="--address", help="Only acts that came from this address.")]
_OutcomeOption = Annotated[
    Literal["success", "failure"] | None,
    Parameter(name="--outcome", help="Only what was done, or only refusals."),
]


def _who(item: Item) -> str:
    return actor_of(_fields(item), str(item["username"]))


def _time(item: Item) -> str:
    """Return the time as records and exports have it, so that it can be given to any audit command as it is."""
    return str(item.get("op_time", ""))


def _address(item: Item) -> str:
    """Return where it came from."""
    return str(_fields(item).get("source.ip", ""))


def _image(item: Item) -> str:
    return image_of_act(_fields(item))


def _reason(item: Item) -> str:
    return reason_of_act(_fields(item))


def _fields(item: Item) -> dict[str, object]:
    """Return the facts under the names of the Elastic Common Schema."""
    return cast("dict[str, object]", item.get("fields") or {})


_COLUMNS: Columns = (
    ("ID", "id"),
    ("TIME", _time),
    ("USER", _who),
    ("ADDRESS", _address),
    ("ACTION", "operation"),
    ("RESOURCE", "resource"),
    ("IMAGE", _image),
    ("KIND", "resource_type"),
    ("OUTCOME", "outcome"),
    ("REASON", _reason),
)


def list_acts(
    *,
    project: _ProjectOption = "",
    user: _UserOption = "",
    action: _ActionOption = "",
    resource: _ResourceOption = "",
    address: _AddressOption = "",
    outcome: _OutcomeOption = None,
    request_id: _RequestOption = "",
    since: FromOption = "",
    until: ToOption = "",
    limit: LimitOption = 50,
    target: TargetOption = ANYWHERE,
    output: OutputOption = "table",
) -> None:
    """List who did what, the newest first; times are in UTC."""
    exact = {
        "username": user,
        "operation": action,
        "resource": resource,
        "address": address,
        "outcome": outcome or "",
        "request_id": request_id,
    }
    terms = [equals(field, value) for field, value in exact.items() if value]
    if since or until:
        terms.append(f"op_time=[{_within(since, until)}]")
    path = f"{project_path(project)}/logs" if project else "/audit-logs"
    with open_api(target) as api, _telling_of_projects(project):
        items = list_items(api, path, {"q": ",".join(terms)} if terms else {}, limit)
    show_items(items, _COLUMNS, output)


@contextlib.contextmanager
def _telling_of_projects(project: str) -> Generator[None]:
    """Add to a refusal of the whole log that there are logs of projects, which more people may read."""
    try:
        yield
    except RefusedError as error:
        if error.status == HTTPStatus.FORBIDDEN and not project:
            error.lines = (*error.lines, "Team leads read the log of their project: --project NAME.")
        raise


def _within(since: str, until: str) -> str:
    """Return a range of the API, both bounds of which belong to it; the time of `--to` does not."""
    first, end = read_span(since, until)
    least = "" if first is None else time_in_utc(first)
    most = "" if end is None else time_in_utc(end - 1)
    return f"{least}~{most}"
