"""A robot as the service shows it, and what callers ask the service for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from entrepot.auth.robots.permissions import AskedPermissions, RobotPermissions, decode_permissions
from entrepot.auth.robots.sponsors import Answerable, answerable_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.robot_store import StoredRobot

__all__ = ["IssuedRobot", "NewRobot", "Robot", "RobotChanges", "RobotLimits", "RobotPage", "robot_from_row"]


@dataclass(frozen=True, slots=True)
class RobotLimits:
    """What robots can be at most.

    Attributes:
        most_days: how long one can live, counted from when it was made; `None` lets it live for ever.
        default_days: how long it lives when nobody says; -1 for ever.
    """

    most_days: int | None = None
    default_days: int = 30


@dataclass(frozen=True, slots=True)
class NewRobot:
    """A robot that somebody asks for.

    Attributes:
        name: the short name.
        duration_days: -1 for ever, `None` for the default.
        allowed_addresses: IP networks or addresses; empty for any.
        secret: a chosen one; empty for a random one.
    """

    name: str
    permissions: Sequence[AskedPermissions]
    description: str = ""
    duration_days: int | None = None
    allowed_addresses: Sequence[str] = ()
    disabled: bool = False
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class RobotChanges:
    """What is to change of a robot; `None` leaves a thing as it is. Name and place never change.

    Attributes:
        duration_days: counted from when the robot was made, as Harbor does; -1 for ever.
        days_from_now: the same counted from now, so that it does not matter when the robot was made.
    """

    permissions: Sequence[AskedPermissions] | None = None
    description: str | None = None
    duration_days: int | None = None
    days_from_now: int | None = None
    allowed_addresses: Sequence[str] | None = None
    disabled: bool | None = None


@dataclass(frozen=True, slots=True)
class Robot:
    """A robot. Times are milliseconds since 1970.

    Attributes:
        id: the number of its subject, by which Harbor's API names it.
        public_id: its subject.
        name: in full, as it logs in: `robot$name` or `robot$project+name`.
        project_id: `None` for a robot of the system.
        duration_days: -1 for ever.
        creator: the subject that answers for it: who made it, or took it over.
        creator_id: the number of that person; `None` for operators of the host and people who are gone.
        answerable: what is to be known of whoever answers for it.
    """

    id: int
    public_id: str
    name: str
    short_name: str
    project_id: int | None
    description: str
    permissions: tuple[RobotPermissions, ...]
    allowed_addresses: tuple[str, ...]
    duration_days: int
    expires_at: int | None
    creator: str
    creator_id: int | None
    answerable: Answerable
    disabled: bool
    created_at: int
    updated_at: int
    last_used_at: int | None

    def described(self) -> dict[str, object]:
        """Return what the audit log tells of it before and after a change; nothing in it is secret (S27)."""
        return {
            "description": self.description,
            "permissions": msgspec.to_builtins(self.permissions),
            "allowed_addresses": list(self.allowed_addresses),
            "duration_days": self.duration_days,
            "expires_at": self.expires_at,
            "disabled": self.disabled,
            "creator": self.creator,
        }


@dataclass(frozen=True, slots=True)
class IssuedRobot:
    """A robot with its secret, which is shown this once."""

    robot: Robot
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RobotPage:
    """A page of robots, and how many there are on all pages."""

    robots: tuple[Robot, ...]
    total: int


def robot_from_row(row: StoredRobot) -> Robot:
    """Return a row with its documents read."""
    return Robot(
        id=row.id,
        public_id=row.public_id,
        name=row.name,
        short_name=row.short_name,
        project_id=row.project_id,
        description=row.description,
        permissions=decode_permissions(row.permissions),
        allowed_addresses=tuple(msgspec.json.decode(row.allowed_addresses, type=list[str])),
        duration_days=row.duration_days,
        expires_at=row.expires_at,
        creator=row.creator,
        creator_id=row.creator_id,
        answerable=answerable_for(row.creator, row.creator_name, disabled=row.creator_disabled),
        disabled=row.disabled,
        created_at=row.created_at,
        updated_at=row.updated_at,
        last_used_at=row.last_used_at,
    )
