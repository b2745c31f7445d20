"""``entrepot project …``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from entrepot.client.asking import require_consent
from entrepot.client.choosing import open_api
from entrepot.client.errors import EXIT_USAGE, ClientError
from entrepot.client.listing import Item, list_items
from entrepot.client.lookup import project_path
from entrepot.client.options import ANYWHERE, LimitOption, OutputOption, TargetOption, YesOption
from entrepot.client.showing import Columns, say, show_created, show_item, show_items
from entrepot.client.suggestions import MetadataValue

__all__ = ["create_project", "delete_project", "list_projects", "set_project", "show_project"]

_ProjectArgument = Annotated[str, Parameter(help="Name of the project.")]
_NameOption = Annotated[str, Parameter(name="--name", help="Only projects whose names contain this.")]
_PublicOption = Annotated[
    bool, Parameter(name="--public", negative="", help="Everybody may pull, also without an account.")
]
_MetadataOption = Annotated[
    tuple[MetadataValue, ...],
    Parameter(
        name="--set",
        negative="",
        show_choices=False,
        metavar="KEY=VALUE",
        help="KEY=VALUE of the project's metadata, as repository_creation=developers; may be repeated.",
    ),
]
_ValuesArgument = Annotated[
    MetadataValue,
    Parameter(
        help="KEY=VALUE of the metadata, as public=true or repository_creation=team-leads.",
        show_choices=False,
        metavar="KEY=VALUE",
    ),
]


def _access(item: Item) -> str:
    return "public" if item.get("metadata", {}).get("public") == "true" else "private"


_LISTED: Columns = (
    ("NAME", "name"),
    ("ACCESS", _access),
    ("OWNER", "owner_name"),
    ("REPOSITORIES", "repo_count"),
    ("CREATED", "creation_time"),
)


def list_projects(
    *,
    name: _NameOption = "",
    limit: LimitOption = 0,
    target: TargetOption = ANYWHERE,
    output: OutputOption = "table",
) -> None:
    """List the projects that you can see."""
    with open_api(target) as api:
        items = list_items(api, "/projects", {"name": name} if name else {}, limit)
    show_items(items, _LISTED, output)


def show_project(
    project: _ProjectArgument, /, *, target: TargetOption = ANYWHERE, output: OutputOption = "table"
) -> None:
    """Show a project and its metadata."""
    with open_api(target) as api:
        item: Item = api.get(project_path(project)).document
    metadata: list[tuple[str, str]] = sorted(item.get("metadata", {}).items())
    shown = item if output == "json" else {**item, **{f"metadata.{key}": value for key, value in metadata}}
    more: Columns = [(key, f"metadata.{key}") for key, _ in metadata]
    show_item(shown, (*_LISTED, ("ID", "project_id"), ("CHANGED", "update_time"), *more), output)


def create_project(
    project: _ProjectArgument,
    /,
    *,
    public: _PublicOption = False,
    metadata: _MetadataOption = (),
    target: TargetOption = ANYWHERE,
    output: OutputOption = "table",
) -> None:
    """Create a project, private unless --public is said."""
    values = _parsed(metadata)
    if public:
        values["public"] = "true"
    with open_api(target) as api:
        reply = api.call("POST", "/projects", {"project_name": project, "metadata": values})
    show_created({"name": project, "project_id": reply.created}, f"Created project {project}.", output)


def set_project(
    project: _ProjectArgument, /, *values: _ValuesArgument, target: TargetOption = ANYWHERE
) -> None:
    """Change metadata of a project; what is not named stays."""
    if not values:
        raise ClientError(EXIT_USAGE, "entrepot: say what to set, as public=true")
    with open_api(target) as api:
        api.call("PUT", project_path(project), {"metadata": _parsed(values)})
    say(f"Changed project {project}.")


def delete_project(
    project: _ProjectArgument, /, *, yes: YesOption = False, target: TargetOption = ANYWHERE
) -> None:
    """Delete a project, which has to be without repositories."""
    require_consent(f"Delete project {project}?", yes=yes)
    with open_api(target) as api:
        api.call("DELETE", project_path(project))
    say(f"Deleted project {project}.")


def _parsed(values: tuple[str, ...]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    for key, separator, _ in pairs:
        if not key or not separator:
            raise ClientError(EXIT_USAGE, f"entrepot: {key!r} is not of the form KEY=VALUE")
    return {key: value for key, _, value in pairs}
