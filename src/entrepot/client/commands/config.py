"""``entrepot config …``: settings of the registry that are changed while it runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from entrepot.client.choosing import open_api
from entrepot.client.errors import EXIT_USAGE, ClientError
from entrepot.client.options import ANYWHERE, OutputOption, TargetOption
from entrepot.client.showing import Columns, say, show_item, show_items, text_of

if TYPE_CHECKING:
    from entrepot.client.listing import Item

__all__ = ["set_config", "show_config"]

_ValuesArgument = Annotated[str, Parameter(help="KEY=VALUE, as read_only=true or banner_message=Hello.")]

_COLUMNS: Columns = (
    ("KEY", "key"),
    ("VALUE", lambda item: _written(item["value"])),
    ("EDITABLE", "editable"),
)


def show_config(*, target: TargetOption = ANYWHERE, output: OutputOption = "table") -> None:
    """Show the settings of run time, and which of them can be changed."""
    with open_api(target) as api:
        document: dict[str, Item] = api.get("/configurations").document
    if output == "json":
        show_item(document, (), output)
        return
    show_items([{"key": key, **item} for key, item in sorted(document.items())], _COLUMNS, output)


def set_config(*values: _ValuesArgument, target: TargetOption = ANYWHERE) -> None:
    """Change settings of run time; what is not named stays."""
    if not values:
        raise ClientError(EXIT_USAGE, "entrepot: say what to set, as read_only=true")
    with open_api(target) as api:
        kinds: dict[str, Item] = api.get("/configurations").document
        changes = dict(_parsed(value, kinds) for value in values)
        api.call("PUT", "/configurations", changes)
    say(f"Set {', '.join(changes)}.")


def _parsed(text: str, kinds: dict[str, Item]) -> tuple[str, object]:
    """Return key and value; the value is read as what the setting holds now, so that a text may look like a number."""
    key, separator, value = text.partition("=")
    if not separator or key not in kinds:
        reason = f"there is no setting {key!r}" if separator else "is not of the form KEY=VALUE"
        raise ClientError(EXIT_USAGE, f"entrepot: {text}: {reason}", "See: entrepot config show")
    if isinstance(kinds[key]["value"], str):
        return key, value
    try:
        read: object = json.loads(value)
    except ValueError as error:
        raise ClientError(EXIT_USAGE, f"entrepot: {text}: is true, false or a number") from error
    return key, read


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else text_of(value)
