"""``entrepot label …``: words of the registry or of a project; nothing puts them on images yet."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from entrepot.client.asking import require_consent
from entrepot.client.choosing import open_api
from entrepot.client.connection import segment
from entrepot.client.errors import EXIT_USAGE, ClientError
from entrepot.client.listing import list_items
from entrepot.client.lookup import find_label, labels_of
from entrepot.client.options import ANYWHERE, LimitOption, OutputOption, TargetOption, YesOption
from entrepot.client.showing import Columns, say, show_items

__all__ = ["change_label", "create_label", "delete_label", "list_labels"]

_LabelArgument = Annotated[str, Parameter(help="Name of the label.")]
_ProjectOption = Annotated[str, Parameter(name="--project", help="The label's project; else the registry.")]
_ColorOption = Annotated[str | None, Parameter(name="--color", help="As #RRGGBB.")]
_DescriptionOption = Annotated[str | None, Parameter(name="--description", help="What it means.")]
_NewNameOption = Annotated[str | None, Parameter(name="--rename", help="A new name.")]

_COLUMNS: Columns = (
    ("NAME", "name"),
    ("COLOR", "color"),
    ("DESCRIPTION", "description"),
    ("CREATED", "creation_time"),
    ("ID", "id"),
)


def list_labels(
    *,
    project: _ProjectOption = "",
    limit: LimitOption = 0,
    target: TargetOption = ANYWHERE,
    output: OutputOption = "table",
) -> None:
    """List the labels of the registry, or of a project."""
    with open_api(target) as api:
        items = list_items(api, "/labels", labels_of(api, project), limit)
    show_items(items, _COLUMNS, output)


def create_label(
    label: _LabelArgument,
    /,
    *,
    project: _ProjectOption = "",
    color: _ColorOption = None,
    description: _DescriptionOption = None,
    target: TargetOption = ANYWHERE,
) -> None:
    """Create a label."""
    with open_api(target) as api:
        text = {"name": label, "color": color, "description": description}
        body = {**text, **labels_of(api, project)}
        api.call("POST", "/labels", {name: value for name, value in body.items() if value is not None})
    say(f"Created label {label}.")


def change_label(
    label: _LabelArgument,
    /,
    *,
    project: _ProjectOption = "",
    rename: _NewNameOption = None,
    color: _ColorOption = None,
    description: _DescriptionOption = None,
    target: TargetOption = ANYWHERE,
) -> None:
    """Change a label; what is not named stays."""
    given = {"name": rename, "color": color, "description": description}
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise ClientError(EXIT_USAGE, "entrepot: say what to change, as --color #FF0000")
    with open_api(target) as api:
        item = find_label(api, label, project)
        fields = ("name", "color", "description", "scope", "project_id")
        body = {name: item[name] for name in fields if name in item} | changes
        api.call("PUT", f"/labels/{segment(item['id'])}", body)
    say(f"Changed label {label}.")


def delete_label(
    label: _LabelArgument,
    /,
    *,
    project: _ProjectOption = "",
    yes: YesOption = False,
    target: TargetOption = ANYWHERE,
) -> None:
    """Delete a label, and take it from every image that has it."""
    require_consent(f"Delete label {label}?", yes=yes)
    with open_api(target) as api:
        api.call("DELETE", f"/labels/{segment(find_label(api, label, project)['id'])}")
    say(f"Deleted label {label}.")
