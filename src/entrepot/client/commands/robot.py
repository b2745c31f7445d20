"""``entrepot robot …``: accounts of programs, on the system or in a project."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from entrepot.client.asking import read_secret, require_consent
from entrepot.client.choosing import open_api
from entrepot.client.connection import segment
from entrepot.client.errors import EXIT_USAGE, ClientError
from entrepot.client.listing import Item, list_items
from entrepot.client.lookup import find_robot, robots_of
from entrepot.client.one_time import OneTimeSecret
from entrepot.client.options import ANYWHERE, LimitOption, OutputOption, TargetOption, YesOption
from entrepot.client.showing import Columns, say, show_item, show_items, show_secret, time_of
from entrepot.client.text import one_line

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["create_robot", "delete_robot", "list_robots", "rotate_robot", "show_robot", "update_robot"]

_RobotArgument = Annotated[str, Parameter(help="Name of the robot, with or without what goes before it.")]
_NewArgument = Annotated[str, Parameter(help="The robot's own name, without robot$.")]
_ProjectOption = Annotated[str, Parameter(name="--project", help="The robot's project; else the system.")]
_AllowOption = Annotated[
    tuple[str, ...],
    Parameter(
        name="--allow",
        negative="",
        help="A permission, as repository:pull; on the system with its place, as team=repository:pull, "
        "*=repository:pull for every project or /=project:list for the system itself. May be repeated.",
    ),
]
_AddressOption = Annotated[
    tuple[str, ...],
    Parameter(
        name="--address",
        negative="",
        help="An IP address or network that it may log in from, as 10.2.0.0/16; may be repeated. None: from all.",
    ),
]
_AnyAddressOption = Annotated[
    bool, Parameter(name="--any-address", negative="", help="Let it log in from all addresses again.")
]
_DaysOption = Annotated[
    int | None, Parameter(name="--days", help="How long it lives; -1 for ever. As a rule 30.")
]
_LeftOption = Annotated[
    int | None, Parameter(name="--days", help="How long it lives from now on; -1 for ever.")
]
_DescriptionOption = Annotated[str | None, Parameter(name="--description", help="What it is for.")]
_DisabledOption = Annotated[
    bool | None, Parameter(name="--disable", negative="--enable", help="Keep it out, or let it in again.")
]
_SecretFileOption = Annotated[
    Path | None,
    Parameter(name="--secret-file", help="Its first line becomes the secret; else the registry makes one."),
]
_SecretStdinOption = Annotated[
    bool,
    Parameter(
        name="--secret-stdin", negative="", help="The first line of standard input becomes the secret."
    ),
]


def _expiry(item: Item) -> str:
    at = item.get("expires_at", -1)
    if at in {-1, None}:
        return "never"
    return f"{time_of(at)} (expired)" if _has_expired(item) else time_of(at)


def _has_expired(item: Item) -> bool:
    """Tell by the clock of this machine; what counts is the registry's, which may be some seconds off."""
    expires = int(item.get("expires_at") or -1)
    return 0 <= expires <= time.time()  # noqa: TID251  # it is only shown, and the end is a date


def _access(item: Item) -> str:
    return ", ".join(
        f"{entry['namespace']}={access['resource']}:{access['action']}"
        for entry in item.get("permissions", [])
        for access in entry["access"]
    )


def _addresses(item: Item) -> str:
    return ", ".join(item.get("allowed_addresses") or ["anywhere"])


def _last_use(item: Item) -> str:
    used = item.get("last_use_time")
    return time_of(used) if used else "never"


def _answerable(item: Item) -> str:
    """Say who answers for a robot and why it stands still; a registry before this version does not tell."""
    person = item.get("answerable")
    if not person:
        return ""
    remarks = {"disabled": " (disabled)", "gone": "nobody (gone)", "host": " on the host"}
    remark = remarks.get(person["state"], " (lacks rights)" if person["lacks"] else "")
    return f"{person['name']}{remark}"


def _in_vain(item: Item) -> str:
    person = item.get("answerable")
    if not person:
        return ""
    return "all" if person["state"] in {"disabled", "gone"} else ", ".join(person["lacks"])


_LISTED: Columns = (
    ("NAME", "name"),
    ("DISABLED", "disable"),
    ("ANSWERABLE", _answerable),
    ("ENDS", _expiry),
    ("LAST USED", _last_use),
    ("DESCRIPTION", "description"),
    ("ID", "id"),
)
_SECRET: Columns = (("NAME", "name"), ("SECRET", "secret"), ("ENDS", _expiry))


def list_robots(
    *,
    project: _ProjectOption = "",
    limit: LimitOption = 0,
    target: TargetOption = ANYWHERE,
    output: OutputOption = "table",
) -> None:
    """List the robots of the system, or of a project."""
    with open_api(target) as api:
        items = list_items(api, "/robots", robots_of(api, project), limit)
    show_items(items, _LISTED, output)


def show_robot(
    robot: _RobotArgument,
    /,
    *,
    project: _ProjectOption = "",
    target: TargetOption = ANYWHERE,
    output: OutputOption = "table",
) -> None:
    """Show a robot and what it may do."""
    with open_api(target) as api:
        item = find_robot(api, robot, project)
    more = (
        ("MAY", _access),
        ("IN VAIN", _in_vain),
        ("FROM", _addresses),
        ("CREATED", "creation_time"),
    )
    show_item(item, (*_LISTED, *more), output)


def create_robot(
    robot: _NewArgument,
    /,
    *,
    allow: _AllowOption,
    project: _ProjectOption = "",
    address: _AddressOption = (),
    days: _DaysOption = None,
    description: _DescriptionOption = None,
    secret_file: _SecretFileOption = None,
    secret_stdin: _SecretStdinOption = False,
    target: TargetOption = ANYWHERE,
    output: OutputOption = "table",
) -> None:
    """Create a robot and show its secret, this once; with -o name nothing but the secret."""
    chosen = read_secret(secret_file, stdin=secret_stdin)
    body = {
        "name": robot,
        "level": "project" if project else "system",
        "permissions": _permissions(allow, project),
        "duration": days,
        "description": description,
        "allowed_addresses": list(address) or None,
        "secret": chosen or None,
    }
    once = _once(f"the robot {one_line(robot)} was created", robot, project)
    with _until_shown(once, chosen), open_api(target) as api:
        made: Item = api.call(
            "POST", "/robots", {name: value for name, value in body.items() if value is not None}
        ).document
        _show_made(made, chosen, output, once)


def update_robot(
    robot: _RobotArgument,
    /,
    *,
    allow: _AllowOption = (),
    project: _ProjectOption = "",
    address: _AddressOption = (),
    any_address: _AnyAddressOption = False,
    days: _LeftOption = None,
    description: _DescriptionOption = None,
    disabled: _DisabledOption = None,
    target: TargetOption = ANYWHERE,
) -> None:
    """Change a robot; permissions, or addresses, that are named replace all it has."""
    if address and any_address:
        raise ClientError(EXIT_USAGE, "entrepot: either --address or --any-address")
    body = {
        "permissions": _permissions(allow, project) if allow else None,
        "expires_in_days": days,
        "description": description,
        "disable": disabled,
        "allowed_addresses": list(address) if address or any_address else None,
    }
    changes = {name: value for name, value in body.items() if value is not None}
    if not changes:
        raise ClientError(EXIT_USAGE, "entrepot: say what to change, as --days 90 or --disable")
    with open_api(target) as api:
        number = find_robot(api, robot, project)["id"]
        api.call("PUT", f"/robots/{segment(number)}", changes)
        ends = "" if days is None else f" It ends: {_expiry(find_robot(api, robot, project))}."
    say(f"Changed robot {robot}.{ends}")


def rotate_robot(
    robot: _RobotArgument,
    /,
    *,
    project: _ProjectOption = "",
    secret_file: _SecretFileOption = None,
    secret_stdin: _SecretStdinOption = False,
    target: TargetOption = ANYWHERE,
    output: OutputOption = "table",
) -> None:
    """Give a robot another secret and show it, this once; the one before is worth nothing any more."""
    chosen = read_secret(secret_file, stdin=secret_stdin)
    once = _once(f"the secret of the robot {one_line(robot)} was replaced", robot, project)
    with _until_shown(once, chosen), open_api(target) as api:
        item = find_robot(api, robot, project)
        reply = api.call("PATCH", f"/robots/{segment(item['id'])}", {"secret": chosen})
        answer: Item = reply.document if reply.body else {}
        made: Item = {**item, **answer}
        _show_made(made, chosen, output, once)
    if _has_expired(item):
        command = f"entrepot robot update {_named(robot, project)} --days 30"
        say(f"Robot {item['name']} has expired, so the secret opens nothing. To let it live on: {command}")


def delete_robot(
    robot: _RobotArgument,
    /,
    *,
    project: _ProjectOption = "",
    yes: YesOption = False,
    target: TargetOption = ANYWHERE,
) -> None:
    """Delete a robot."""
    require_consent(f"Delete robot {robot}?", yes=yes)
    with open_api(target) as api:
        api.call("DELETE", f"/robots/{segment(find_robot(api, robot, project)['id'])}")
    say(f"Deleted robot {robot}.")


def _once(deed: str, robot: str, project: str) -> OneTimeSecret:
    command = f"entrepot robot rotate {_named(robot, project)}"
    return OneTimeSecret("the new secret", deed, f"Have another made: {command}")


def _named(robot: str, project: str) -> str:
    """Return how a command names a robot."""
    place = f" --project {quote(one_line(project))}" if project else ""
    return f"{quote(one_line(robot))}{place}"


def _until_shown(once: OneTimeSecret, chosen: str) -> AbstractContextManager[None]:
    """Watch over a secret that the registry makes; one that the caller chose can't be lost."""
    return nullcontext() if chosen else once.until_shown()


def _show_made(made: Item, chosen: str, output: OutputOption, once: OneTimeSecret) -> None:
    """Show the secret, unless the caller chose it: then it is known, and need not stand on the screen."""
    if chosen or not made.get("secret"):
        show_item({**made, "secret": "as you chose it"}, _SECRET, output)
    else:
        show_secret(made, _SECRET, output, once)


def _permissions(allowed: tuple[str, ...], project: str) -> list[dict[str, object]]:
    """Return the entries, one for each place.

    Raises:
        ClientError: a permission is not of the form, or one with a place is given in a project.
    """
    places: dict[str, list[dict[str, str]]] = {}
    for text in allowed:
        place, separator, pair = text.rpartition("=")
        resource, colon, action = pair.partition(":")
        if (
            not (resource and colon and action)
            or bool(separator) == bool(project)
            or (separator and not place)
        ):
            form = "RESOURCE:ACTION" if project else "PROJECT=RESOURCE:ACTION, *=… or /=…"
            raise ClientError(EXIT_USAGE, f"entrepot: --allow {text}: is not of the form {form}")
        places.setdefault(project or place, []).append({"resource": resource, "action": action})
    return [
        {"kind": "system" if place == "/" else "project", "namespace": place, "access": access}
        for place, access in places.items()
    ]
