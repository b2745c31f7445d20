"""What a change makes of a robot, and whether it gives the robot anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.auth.robots.addresses import encode_networks, parse_networks
from entrepot.auth.robots.permissions import encode_permissions, parse_permissions
from entrepot.auth.robots.rules import lifetime_milliseconds, require_description, require_duration
from entrepot.metadata.robot_store import RobotFields

if TYPE_CHECKING:
    from entrepot.auth.robots.records import RobotChanges, RobotLimits
    from entrepot.metadata.robot_store import StoredRobot

__all__ = ["changed_fields", "decisive", "gives_more"]


def changed_fields(
    seen: StoredRobot, changes: RobotChanges, changer: str, project: str, limits: RobotLimits
) -> RobotFields:
    """Return what a robot is to become, checked; `project` is empty for one of the system.

    Whoever (`changer`) gives it permissions, or anything else, answers for it from then on.

    Raises:
        InvalidRobotError: what is asked for is not possible.
    """
    permissions, networks = seen.permissions, seen.allowed_addresses
    if changes.permissions is not None:
        asked = parse_permissions(changes.permissions, "project" if project else "system", project)
        permissions = encode_permissions(asked)
    if changes.allowed_addresses is not None:
        networks = encode_networks(parse_networks(changes.allowed_addresses))
    if changes.description is not None:
        require_description(changes.description)
    days, expires_at = _expiry(seen, changes, limits)
    disabled = seen.disabled if changes.disabled is None else changes.disabled
    gives = (
        changes.permissions is not None
        or networks != seen.allowed_addresses
        or days != seen.duration_days
        or (seen.disabled and not disabled)
    )
    return RobotFields(
        description=seen.description if changes.description is None else changes.description,
        permissions=permissions,
        allowed_addresses=networks,
        duration_days=days,
        expires_at=expires_at,
        creator=changer if gives else seen.creator,
        disabled=disabled,
    )


def gives_more(seen: StoredRobot, fields: RobotFields) -> bool:
    """Whether a change is more than describing or disabling."""
    return decisive(fields)[:-1] != decisive(seen)[:-1] or (seen.disabled and not fields.disabled)


def decisive(robot: StoredRobot | RobotFields) -> tuple[object, ...]:
    """Return what a change was judged by; when it is not what it was, the judgement is void. `disabled` comes last."""
    return (
        robot.permissions,
        robot.allowed_addresses,
        robot.duration_days,
        robot.creator,
        robot.disabled,
    )


def _expiry(seen: StoredRobot, changes: RobotChanges, limits: RobotLimits) -> tuple[int, int | None]:
    """Return duration and end of life, which is counted from when the robot was made."""
    days = changes.duration_days
    if days is None or days == seen.duration_days:
        return seen.duration_days, seen.expires_at
    require_duration(days, limits)
    lifetime = lifetime_milliseconds(days)
    return days, None if lifetime is None else seen.created_at + lifetime
