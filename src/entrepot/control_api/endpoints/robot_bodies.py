"""Robots as bodies of requests and answers have them, and what these mean to the service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.robots.permissions import AskedPermissions
from entrepot.control_api.errors import InvalidInputError
from entrepot.control_api.names import format_time

if TYPE_CHECKING:
    from entrepot.auth.robots.records import Robot as RobotFacts

__all__ = [
    "PASSED_OVER",
    "Access",
    "Robot",
    "RobotAnswerable",
    "RobotCreate",
    "RobotCreated",
    "RobotPermission",
    "RobotSec",
    "RobotUpdate",
    "asked_permissions",
    "shown_expiry",
    "shown_robot",
]

_FOR_EVER: Final = -1


class Access(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One thing that a robot may do."""

    resource: str
    action: str
    effect: str | None = None


class RobotPermission(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a robot may do in one place: `/` is the system, `*` every project."""

    kind: str
    namespace: str
    access: tuple[Access, ...]


class RobotAnswerable(msgspec.Struct, frozen=True):
    """Who answers for a robot, which may no more than they: `present`, `disabled`, `gone`, or of the `host`.

    A robot of somebody disabled or gone may do nothing. `lacks` is what it has and who answers for it has not
    (`team=repository:push`), so that it may not do it.
    """

    name: str
    state: str
    lacks: tuple[str, ...]


class Robot(msgspec.Struct, frozen=True):
    """A robot. `expires_at` is in seconds since 1970, -1 for never.

    Beyond Harbor's fields it tells from which networks it may log in, all when there are none, when it last did, and
    who answers for it.
    """

    id: int
    name: str
    description: str
    level: str
    duration: int
    editable: bool
    disable: bool
    expires_at: int
    permissions: tuple[RobotPermission, ...]
    creator_type: str
    creator_ref: int
    creation_time: str
    update_time: str
    allowed_addresses: tuple[str, ...]
    last_use_time: str | None
    answerable: RobotAnswerable


PASSED_OVER: Final = frozenset({"secret", *Robot.__struct_fields__})
"""What clients may send of a robot, since they read it or Harbor's model has it, whether or not it can be written."""


class RobotCreate(msgspec.Struct, frozen=True):
    """A robot to be made. `allowed_addresses` are IP addresses and networks it may log in from; left out, from any."""

    name: str
    permissions: tuple[RobotPermission, ...]
    level: str = "system"
    description: str | None = None
    duration: int | None = None
    disable: bool | None = None
    secret: str | None = None
    allowed_addresses: tuple[str, ...] = ()


class RobotCreated(msgspec.Struct, frozen=True):
    """A new robot with its secret, which is shown this once."""

    id: int
    name: str
    secret: str
    creation_time: str
    expires_at: int


class RobotUpdate(msgspec.Struct, frozen=True):
    """What is to change of a robot; what is left out stays, as name and level do in any case.

    Another `duration`, in days, is counted from when the robot was made; `expires_in_days` is counted from now, and is
    its duration from then on. -1 is for ever.
    """

    description: str | None = None
    duration: int | None = None
    expires_in_days: int | None = None
    disable: bool | None = None
    permissions: tuple[RobotPermission, ...] | None = None
    allowed_addresses: tuple[str, ...] | None = None


class RobotSec(msgspec.Struct, frozen=True):
    """A secret: a chosen one, or empty for a random one."""

    secret: str | None = None


def shown_expiry(robot: RobotFacts) -> int:
    """Return when a robot ends, as it is shown."""
    return _FOR_EVER if robot.expires_at is None else robot.expires_at // 1000


def shown_robot(robot: RobotFacts) -> Robot:
    """Return a robot as it is shown."""
    return Robot(
        id=robot.id,
        name=robot.name,
        description=robot.description,
        level="system" if robot.project_id is None else "project",
        duration=robot.duration_days,
        editable=True,
        disable=robot.disabled,
        expires_at=shown_expiry(robot),
        permissions=tuple(
            RobotPermission(
                entry.kind,
                entry.namespace,
                tuple(Access(*name.split(":", 1)) for name in entry.access),
            )
            for entry in robot.permissions
        ),
        creator_type="local",
        creator_ref=robot.creator_id or 0,
        creation_time=format_time(robot.created_at),
        update_time=format_time(robot.updated_at),
        allowed_addresses=robot.allowed_addresses,
        last_use_time=None if robot.last_used_at is None else format_time(robot.last_used_at),
        answerable=RobotAnswerable(robot.answerable.name, robot.answerable.state, robot.answerable.lacks),
    )


def asked_permissions(permissions: tuple[RobotPermission, ...]) -> tuple[AskedPermissions, ...]:
    """Return the entries as the service checks them.

    Raises:
        InvalidInputError: an entry denies, which robots' permissions can't.
    """
    if any(access.effect not in (None, "", "allow") for entry in permissions for access in entry.access):
        raise InvalidInputError(("permissions: only the effect allow exists",))
    return tuple(
        AskedPermissions(
            entry.kind, entry.namespace, tuple((access.resource, access.action) for access in entry.access)
        )
        for entry in permissions
    )
